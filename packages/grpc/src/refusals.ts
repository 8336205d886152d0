import { type Meter, metrics } from "@opentelemetry/api";
import type { ErrorLog } from "./exceptions.js";

/** Why the server refused or closed a connection, or a call at its door. */
export type Refusal =
  /** More connections than the server takes. */
  | "connections"
  /** More connections than one peer may have. */
  | "connections_of_peer"
  /** More calls under way than one peer may have. */
  | "calls_of_peer"
  /** A peer that has flooded several times just now. */
  | "flooder"
  /** More handshakes under way than one peer may have. */
  | "handshakes_of_peer"
  /** The handshake failed, or took too long. */
  | "handshake"
  /** The certificate is not of this system. */
  | "stranger"
  /** Bytes, and no call among them. */
  | "no_call"
  /** What nghttp2 and Node end by themselves: broken rules, and calls reset at once. */
  | "protocol"
  /** A flood of PING frames. */
  | "ping"
  /** A flood of SETTINGS frames. */
  | "settings"
  /** A flood of frames that carry nothing: empty DATA, WINDOW_UPDATE, PRIORITY and others. */
  | "idle_frames"
  /** More calls at once than one connection may have. */
  | "streams_of_connection"
  /** Replies that are not read fill the memory of their connection. */
  | "unread"
  /** A call that is not a gRPC call, or in a form that is not spoken here. */
  | "not_grpc"
  /** A call with too much metadata. */
  | "metadata"
  /** A request that did not come to its end in the time that its method has. */
  | "half_sent";

/** Causes that a connection is closed for, which would otherwise just be made anew. */
export const floods = new Set<Refusal>(["idle_frames", "no_call", "ping", "protocol", "settings"]);

/** Milliseconds between two lines of the log about the same cause: a flood must not flood the log. */
const QUIET_MS = 10_000;

/** Counts what was refused, by cause, as the metric `emporium.grpc.server.refusals` too. */
export class Refusals {
  readonly #counts = new Map<Refusal, number>();
  readonly #told = new Map<Refusal, number>();
  readonly #counter;

  constructor(
    private readonly log: ErrorLog,
    meter: Meter = metrics.getMeter("@emporium/grpc"),
  ) {
    this.#counter = meter.createCounter("emporium.grpc.server.refusals", {
      description: "Connections and calls that were refused at the door or closed for a flood",
    });
  }

  /** How many there were for each cause that there was. */
  get counts(): ReadonlyMap<Refusal, number> {
    return this.#counts;
  }

  /** How many there were for this cause. */
  of(cause: Refusal): number {
    return this.#counts.get(cause) ?? 0;
  }

  /** Counts one; the log hears of the first of a while. */
  add(cause: Refusal, peer: string | undefined): void {
    this.#counts.set(cause, this.of(cause) + 1);
    this.#counter.add(1, { cause });
    const now = Date.now();
    if (now - (this.#told.get(cause) ?? 0) < QUIET_MS) return;
    this.#told.set(cause, now);
    this.log.error({ cause, peer, count: this.of(cause) }, "Refused a peer");
  }
}
