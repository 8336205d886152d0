import type { DescService } from "@bufbuild/protobuf";
import type { Client, Interceptor } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { serviceClient } from "./service-client.js";
import { serviceConfig } from "./service-config.js";
import { GrpcTransport } from "./transport.js";

/** How to reach a service. */
export interface GrpcClientOptions {
  /** gRPC name of the service, `dns:///orders:50051`; every address it has gets its share. */
  address: string;
  /** Transport security; plaintext where none is given. */
  credentials?: grpc.ChannelCredentials;
  /** Connect interceptors, the first one outermost. */
  interceptors?: Interceptor[];
  /** Wait for a connection, until the deadline, rather than fail at once without one. */
  waitForReady?: boolean;
  /** Channel options of grpc-js that differ from the engine's. */
  channelOptions?: grpc.ChannelOptions;
}

/** A client that can be closed. */
export type GrpcClient<Service extends DescService> = Client<Service> & Disposable;

/**
 * A typed client with the policies of the contract: deadline, retries, hedging, round robin. A call
 * made while an incoming call is handled inherits what is left of its time, and ends with it.
 *
 * Unary methods return promises, streaming ones async iterables; failures are `ConnectError`s (see
 * `reasonOf` and `findDetail`).
 *
 * @example
 * using inventory = createGrpcClient(InventoryService, { address: "dns:///127.0.0.1:50052" });
 * const { product } = await inventory.getProduct({ sku: "85123A" });
 */
export function createGrpcClient<Service extends DescService>(
  service: Service,
  options: GrpcClientOptions,
): GrpcClient<Service> {
  const channel = new grpc.Client(
    options.address,
    options.credentials ?? grpc.credentials.createInsecure(),
    {
      "grpc.service_config": JSON.stringify(serviceConfig(service)),
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 5_000,
      "grpc.max_receive_message_length": 4 * 1024 * 1024,
      ...options.channelOptions,
    },
  );
  const transport = new GrpcTransport(
    channel,
    options.interceptors ?? [],
    options.waitForReady ?? false,
  );
  return Object.assign(serviceClient(service, transport), {
    [Symbol.dispose]: () => channel.close(),
  });
}
