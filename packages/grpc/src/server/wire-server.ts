import type { Socket } from "node:net";
import type { Refusal } from "../refusals.js";
import type { Registration } from "../serve.js";

/** Whose connection it is, and what to do about what its peer does. */
export interface AcceptContext {
  /** Calls of all connections that the peer has. */
  readonly peer: { calls: number };
  readonly refuse: (cause: Refusal) => void;
}

/** A connection that a server has accepted. */
export interface AcceptedConnection {
  /** Looks at times and counts; to be called once a second. */
  check(): void;
  /** Lets its calls finish, and takes no new ones. */
  drain(): void;
}

/** HTTP/2 beneath the engine: it takes connections and brings the calls of registered methods. */
export interface WireServer {
  register(registration: Registration): void;
  accept(socket: Socket, context: AcceptContext): AcceptedConnection;
  /** Part of a drain, after every connection was told. */
  shutdown(): void;
}
