import type { Socket } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { Connection } from "../connection.js";
import { guard } from "../door.js";
import { type ServerLimits, toServerOptions } from "../limits.js";
import { type Registration, takeOver } from "../serve.js";
import type { AcceptContext, AcceptedConnection, WireServer } from "./wire-server.js";

/** What the server needs to know of its methods. */
export interface WireServerOptions {
  readonly limits: ServerLimits;
  /** Longest that the method of a path works on one call, in milliseconds; absent where none is. */
  longestOf(path: string): number | undefined;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** grpc-js's server on `node:http2`. Interceptors take its calls before it makes a Node stream of each. */
export class GrpcJsWireServer implements WireServer {
  readonly server: grpc.Server;
  readonly #options: WireServerOptions;
  #injector: ReturnType<grpc.Server["createConnectionInjector"]> | undefined;

  constructor(options: WireServerOptions, channelz = false) {
    this.#options = options;
    this.server = new grpc.Server({
      ...toServerOptions(options.limits),
      "grpc.enable_channelz": channelz ? 1 : 0,
      interceptors: [takeOver],
    });
    if (channelz) grpc.addAdminServicesToServer(this.server);
  }

  register({ path, handler, serialize, deserialize, type }: Registration): void {
    this.server.register(path, handler, serialize, deserialize, type);
  }

  accept(socket: Socket, { peer, refuse }: AcceptContext): AcceptedConnection {
    const { limits } = this.#options;
    this.#injector ??= this.server.createConnectionInjector(
      grpc.ServerCredentials.createInsecure(),
    );
    const connection = new Connection(socket, peer, limits, refuse);
    guard(connection, { ...this.#options, ...limits, refuse });
    this.#injector.injectConnection(socket);
    // grpc-js tells all connections at once.
    return { check: () => connection.look(this.#options.now()), drain: () => {} };
  }

  shutdown(): void {
    this.server.tryShutdown(() => undefined);
  }
}
