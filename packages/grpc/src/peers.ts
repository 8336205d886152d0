import { isIPv6, type Socket } from "node:net";
import type { ServerLimits } from "./limits.js";
import type { Refusal } from "./refusals.js";

/** Who is connected, by address, and how many of their connections are not through the handshake. */
export class Peers {
  readonly #peers = new Map<string, { connections: number; handshakes: number }>();
  /** Connections whose handshake is under way, by address and port. */
  readonly #knocking = new Map<string, Socket>();
  #connections = 0;

  constructor(private readonly limits: ServerLimits) {}

  /** Why this connection must not be taken; `undefined` lets it in. */
  refusal(socket: Socket): Refusal | undefined {
    const { maxConnections, maxConnectionsPerPeer, maxHandshakesPerPeer } = this.limits;
    if (this.#connections >= maxConnections) return "connections";
    const peer = this.#peers.get(peerOf(socket));
    if (!peer) return undefined;
    if (peer.connections >= maxConnectionsPerPeer) return "connections_of_peer";
    if (peer.handshakes >= maxHandshakesPerPeer) return "handshakes_of_peer";
    return undefined;
  }

  /** Counts a connection for as long as it lasts. */
  add(socket: Socket, shakesHands: boolean): void {
    const name = peerOf(socket);
    const place = placeOf(socket);
    const peer = this.#peers.get(name) ?? { connections: 0, handshakes: 0 };
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

  /** The handshake of the connection that this socket speaks over is done. */
  arrived(socket: Socket): void {
    if (this.#knocking.delete(placeOf(socket))) this.#peers.get(peerOf(socket))!.handshakes--;
  }

  /** Ends the connections that are not through the handshake. */
  dropKnocking(): void {
    for (const socket of this.#knocking.values()) socket.destroy();
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Who has an IPv6 address has the other 2^64 of its network as well. */
function peerOf({ remoteAddress = "" }: Socket): string {
  if (!isIPv6(remoteAddress)) return remoteAddress;
  const mapped = /^::ffff:([\d.]+)$/i.exec(remoteAddress)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = remoteAddress.split("%")[0]!.split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill("0"), ...last].slice(0, 4).join(":");
}
