import type { DescService } from "@bufbuild/protobuf";
import type { Client, Interceptor, Transport } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import type { ClientObserver } from "./attempts.js";
import { type BalancingOptions, RESOLVE_EVERY_MS } from "./balancing/options.js";
import { serviceClient } from "./service-client.js";
import { serviceConfig } from "./service-config.js";
import { type ClientTls, channelCredentials } from "./tls.js";
import { GrpcTransport } from "./transport.js";

/** How to reach a service. */
export interface GrpcClientOptions extends BalancingOptions {
  /** gRPC name of the service, `dns:///orders:50051`; every address it has gets its share. */
  address: string;
  /** Transport security in both directions; plaintext where none is given. */
  tls?: ClientTls;
  /** Connect interceptors, the first one outermost. */
  interceptors?: Interceptor[];
  /** Wait for a connection, until the deadline, rather than fail at once without one. */
  waitForReady?: boolean;
  /** Told of every call and of every attempt. */
  observers?: ClientObserver[];
  /** Channel options of grpc-js that differ from the engine's. */
  channelOptions?: grpc.ChannelOptions;
}

/** A client that can be closed. */
export type GrpcClient<Service extends DescService> = Client<Service> & Disposable;

/**
 * A typed client with the policies of the contract: deadline, retries, hedging. Calls are spread
 * over every address of the name, and a replica that fails is left out for a while. A call
 * made while an incoming call is handled inherits what is left of its time, and ends with it.
 *
 * Unary methods return promises, streaming ones async iterables; failures are `ConnectError`s (see
 * `reasonOf` and `findDetail`).
 *
 * @example
 * using inventory = createGrpcClient(InventoryService, {
 *   address: "dns:///127.0.0.1:50052",
 *   tls: { source: tlsFromFiles(files), server: "inventory" },
 * });
 * const { product } = await inventory.getProduct({ sku: "85123A" });
 */
export function createGrpcClient<Service extends DescService>(
  service: Service,
  options: GrpcClientOptions,
): GrpcClient<Service> {
  const transport = createGrpcTransport(service, options);
  return Object.assign(serviceClient(service, transport), {
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  });
}

/**
 * Connect's transport for one service, with the same policies as `createGrpcClient`. For code that
 * forwards any method by its descriptor.
 *
 * @example
 * using transport = createGrpcTransport(OrderService, { address: "dns:///127.0.0.1:50051" });
 * const { message } = await transport.unary(method, signal, undefined, headers, request);
 */
export function createGrpcTransport(
  service: DescService,
  options: GrpcClientOptions,
): Transport & Disposable {
  const channel = new grpc.Client(
    options.address,
    options.tls ? channelCredentials(options.tls) : grpc.credentials.createInsecure(),
    {
      "grpc.service_config": JSON.stringify(serviceConfig(service, options)),
      // The contract decides; a TXT record of the name does not.
      "grpc.service_config_disable_resolution": 1,
      "grpc.dns_min_time_between_resolutions_ms": options.resolveEveryMs ?? RESOLVE_EVERY_MS,
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 5_000,
      "grpc.max_receive_message_length": 4 * 1024 * 1024,
      // Not the address, which is seldom a name that TLS may ask for (RFC 6066, section 3).
      ...(options.tls && { "grpc.ssl_target_name_override": options.tls.server }),
      ...options.channelOptions,
    },
  );
  const transport = new GrpcTransport(channel, options.interceptors ?? [], {
    target: options.address,
    waitForReady: options.waitForReady ?? false,
    observers: options.observers ?? [],
  });
  return Object.assign(transport, { [Symbol.dispose]: () => channel.close() });
}
