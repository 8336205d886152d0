import type { DescService } from "@bufbuild/protobuf";
import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from "@nestjs/common";
import { createGrpcClient, type GrpcClient, type GrpcClientOptions } from "./client.js";

/** A service that an application calls. */
export interface GrpcClientRegistration extends GrpcClientOptions {
  service: DescService;
}

/** Under which token Nest knows the client of a service. */
export function clientToken(service: DescService): string {
  return `GrpcClient<${service.typeName}>`;
}

/**
 * Injects the client of a service that `GrpcClientModule` registers.
 *
 * @example
 * constructor(@InjectClient(InventoryService) readonly inventory: Client<typeof InventoryService>) {}
 */
export function InjectClient(service: DescService): ParameterDecorator & PropertyDecorator {
  return Inject(clientToken(service));
}

class OpenClients implements OnApplicationShutdown {
  readonly clients: GrpcClient<DescService>[] = [];

  onApplicationShutdown(): void {
    for (const client of this.clients) client[Symbol.dispose]();
  }
}

/** Typed clients for an application; they close with it. */
@Module({})
export class GrpcClientModule {
  /**
   * @example
   * GrpcClientModule.register({
   *   services: [
   *     {
   *       service: InventoryService,
   *       address: "dns:///inventory:50052",
   *       tls: { source: tls, server: "inventory" },
   *     },
   *   ],
   * });
   */
  static register({ services }: { services: GrpcClientRegistration[] }): DynamicModule {
    const providers = services.map(({ service, ...options }) => ({
      provide: clientToken(service),
      inject: [OpenClients],
      useFactory: (open: OpenClients) => {
        const client = createGrpcClient(service, options);
        open.clients.push(client);
        return client;
      },
    }));
    return {
      module: GrpcClientModule,
      global: true,
      providers: [OpenClients, ...providers],
      exports: providers.map(({ provide }) => provide),
    };
  }
}
