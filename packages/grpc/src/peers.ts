import { isIPv6, type Socket } from "node:net";
import type { ServerLimits } from "./limits.js";
import type { Refusal } from "./refusals.js";

/** Milliseconds after its last flood in which a peer may still be kept out. */
const FLOODS_REMEMBERED_MS = 10_000;

/** What one address has now. */
interface Peer {
  connections: number;
  handshakes: number;
  calls: number;
}

/** Who is connected, by address, and how many of their connections are not through the handshake. */
export class Peers {
  readonly #peers = new Map<string, Peer>();
  /** Connections whose handshake is under way, by address and port. */
  readonly #knocking = new Map<string, Socket>();
  /** Connections of an address that were closed for a flood, and until when that is remembered. */
  readonly #floods = new Map<string, { count: number; until: number }>();
  #connections = 0;

  constructor(private readonly limits: ServerLimits) {}

  /** Why this connection must not be taken; `undefined` lets it in. */
  refusal(socket: Socket): Refusal | undefined {
    const { maxConnections, maxConnectionsPerPeer, maxHandshakesPerPeer } = this.limits;
    if (this.#connections >= maxConnections) return "connections";
    const name = peerOf(socket);
    if (this.#floodsOf(name) >= this.limits.maxFloodsPerPeer) return "flooder";
    const peer = this.#peers.get(name);
    if (!peer) return undefined;
    if (peer.connections >= maxConnectionsPerPeer) return "connections_of_peer";
    if (peer.handshakes >= maxHandshakesPerPeer) return "handshakes_of_peer";
    return undefined;
  }

  /** Counts a connection for as long as it lasts. */
  add(socket: Socket, shakesHands: boolean): void {
    const name = peerOf(socket);
    const place = placeOf(socket);
    const peer = this.#peers.get(name) ?? { connections: 0, handshakes: 0, calls: 0 };
    this.#peers.set(name, peer);
    this.#connections++;
    peer.connections++;
    if (shakesHands) {
      peer.handshakes++;
      this.#knocking.set(place, socket);
    }
    socket.once("close", () => {
      if (this.#knocking.delete(place)) peer.handshakes--;
      this.#connections--;
      if (--peer.connections === 0) this.#peers.delete(name);
    });
  }

  /** Who has a connection that is counted. */
  of(socket: Socket): Peer {
    return this.#peers.get(peerOf(socket))!;
  }

  /** The handshake of the connection that this socket speaks over is done. */
  arrived(socket: Socket): void {
    if (this.#knocking.delete(placeOf(socket))) this.#peers.get(peerOf(socket))!.handshakes--;
  }

  /** A connection of this peer's had to be closed for a flood. */
  flooded(name: string): void {
    const count = this.#floodsOf(name) + 1;
    this.#floods.set(name, { count, until: Date.now() + FLOODS_REMEMBERED_MS });
  }

  #floodsOf(name: string): number {
    const floods = this.#floods.get(name);
    if (!floods) return 0;
    if (floods.until > Date.now()) return floods.count;
    this.#floods.delete(name);
    return 0;
  }

  /** Ends the connections that are not through the handshake. */
  dropKnocking(): void {
    for (const socket of this.#knocking.values()) socket.destroy();
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Who a connection is counted for. Who has an IPv6 address has the other 2^64 of its network too. */
export function peerOf({ remoteAddress = "" }: Socket): string {
  if (!isIPv6(remoteAddress)) return remoteAddress;
  const mapped = /^::ffff:([\d.]+)$/i.exec(remoteAddress)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = remoteAddress.split("%")[0]!.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill("0"), ...last].slice(0, 4).join(":");
}
