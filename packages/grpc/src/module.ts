import { type DynamicModule, Module, type Type } from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { GrpcExceptionFilter } from "./exceptions.js";

/** Root of a Nest application whose controllers are served by `GrpcServer`. */
@Module({})
export class GrpcModule {
  /**
   * Puts the engine's exception filter around an application, as the last one in line: Nest asks
   * global filters in reverse order of their modules, and the root module comes first. Without it
   * Nest replaces every error that no filter caught by "Internal server error".
   *
   * @example
   * NestFactory.createMicroservice(GrpcModule.around(OrdersModule), { strategy: server });
   */
  static around(application: Type | DynamicModule): DynamicModule {
    return {
      module: GrpcModule,
      imports: [application],
      providers: [{ provide: APP_FILTER, useClass: GrpcExceptionFilter }],
    };
  }
}
