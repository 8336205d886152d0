import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { ServerLimits } from "./limits.js";
import { peerOf, Peers } from "./peers.js";
import { floods, type Refusal, type Refusals } from "./refusals.js";
import type { AcceptedConnection, WireServer } from "./server/wire-server.js";
import { tlsGate } from "./tls-listener.js";
import type { TlsSource } from "./tls.js";

/** Milliseconds between two looks at every connection. */
const LOOK_MS = 1_000;

/** An address to listen on. */
export interface Place {
  host: string;
  port: number;
}

/** What a listener needs of the server whose connections it takes. */
export interface ListenerOptions {
  readonly limits: ServerLimits;
  readonly refusals: Refusals;
}

/** A port that is listened on. */
export interface Listener {
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  /** Takes no more connections, lets those that are open finish, and resolves when the last is gone. */
  close(): Promise<void>;
  /** Ends the connections that are left. */
  destroy(): void;
}

/**
 * Listens for peers, and gives the connections of those that it lets in to a server: within
 * the limits, and with a certificate of this system unless `tls` is absent. Rejects where the port
 * is taken.
 *
 * grpc-js could listen by itself, but has no limit on connections, and would look at a certificate
 * at each call only, which costs as much as the call: Node makes an object of it anew each time.
 */
export async function listen(
  server: WireServer,
  place: Place,
  tls: TlsSource | undefined,
  options: ListenerOptions,
): Promise<Listener> {
  const { limits, refusals } = options;
  const peers = new Peers(limits);
  const connections = new Map<Socket, AcceptedConnection>();
  const letIn = (socket: Socket) => {
    const { remoteAddress } = socket;
    const peer = peerOf(socket);
    const refuse = (cause: Refusal) => {
      refusals.add(cause, remoteAddress);
      if (floods.has(cause)) peers.flooded(peer);
    };
    connections.set(socket, server.accept(socket, { peer: peers.of(socket), refuse }));
    socket.once("close", () => connections.delete(socket));
  };
  const gate =
    tls &&
    tlsGate(tls, limits, {
      refuse: (cause, peer) => refusals.add(cause, peer),
      letIn(socket) {
        peers.arrived(socket);
        letIn(socket);
      },
    });
  const listener = createServer((socket) => {
    socket.on("error", () => undefined);
    const cause = peers.refusal(socket);
    if (cause) {
      refusals.add(cause, socket.remoteAddress);
      socket.destroy();
      return;
    }
    peers.add(socket, gate !== undefined);
    if (gate) gate.take(socket);
    else letIn(socket);
  });
  const looking = setInterval(() => {
    for (const connection of connections.values()) connection.check();
  }, LOOK_MS).unref();
  const stop = () => {
    clearInterval(looking);
    gate?.[Symbol.dispose]();
  };
  try {
    const port = await bind(listener, place);
    return {
      port,
      get connections() {
        return connections.size;
      },
      async close() {
        const closed = once(listener, "close");
        listener.close();
        for (const connection of connections.values()) connection.drain();
        peers.dropKnocking();
        await closed;
        stop();
      },
      destroy() {
        for (const socket of connections.keys()) socket.destroy();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}

/**
 * An address as gRPC's names and URLs write it: IPv6 in brackets (RFC 3986, 3.2.2).
 *
 * @example
 * hostAndPort("::1", 50051); // "[::1]:50051"
 */
export function hostAndPort(host: string, port: number): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}

async function bind(listener: Server, { host, port }: Place): Promise<number> {
  listener.listen({ port, host: host.replace(/^\[(.*)\]$/, "$1"), backlog: 1024 });
  await once(listener, "listening");
  return (listener.address() as AddressInfo).port;
}
