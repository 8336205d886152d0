import type { Delivery } from "./delivery.js";
import { pause } from "./pause.js";

/** Looks at the database: soon again while that helps, more and more rarely while it does not. */
const SHORTEST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 100;
/** Well below the time in which the server wants an answer. */
const LONGEST_STAY_MS = 1_000;
const CAPACITY = 256;

interface Guest {
  event: Delivery;
  leaveAtMs: number;
  /** Called once, with whether it is the event's turn. */
  leave: (turn: boolean) => void;
}

/**
 * Where events wait that came a little too early, because an earlier version is at work in another
 * process. Sending them back to the server would cost each of them far longer than that work takes.
 * They hold no place among the events that are worked on.
 */
export class WaitingRoom {
  readonly #guests = new Set<Guest>();
  readonly #positions: (events: Delivery[], signal: AbortSignal) => Promise<bigint[]>;
  #looking = false;

  constructor(positions: (events: Delivery[], signal: AbortSignal) => Promise<bigint[]>) {
    this.#positions = positions;
  }

  /** Resolves with true when it is the event's turn, with false when it has to be sent back. */
  stay(event: Delivery, signal: AbortSignal): Promise<boolean> {
    if (this.#guests.size >= CAPACITY || signal.aborted) return Promise.resolve(false);
    const { promise, resolve: leave } = Promise.withResolvers<boolean>();
    const leaveAtMs = performance.now() + LONGEST_STAY_MS;
    this.#guests.add({ event, leaveAtMs, leave });
    if (!this.#looking) void this.#look(signal);
    return promise;
  }

  /** Says that a version was taken in by this process, so that its follower need not wait. */
  advance({ aggregateType, aggregateId, version }: Delivery): void {
    for (const guest of this.#guests) {
      const { event } = guest;
      if (event.aggregateId !== aggregateId || event.aggregateType !== aggregateType) continue;
      if (event.version <= version + 1n) this.#leave(guest, true);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    this.#looking = true;
    for (let lookMs = SHORTEST_LOOK_MS; this.#guests.size > 0;) {
      await pause(lookMs, signal);
      const guests = [...this.#guests];
      const positions = await this.#positions(
        guests.map(({ event }) => event),
        signal,
      ).catch(() => []);
      const before = this.#guests.size;
      for (const [at, guest] of guests.entries()) {
        const position = positions[at];
        const turn = position !== undefined && guest.event.version <= position + 1n;
        const late = signal.aborted || performance.now() > guest.leaveAtMs;
        if (turn || late) this.#leave(guest, turn);
      }
      lookMs =
        this.#guests.size < before ? SHORTEST_LOOK_MS : Math.min(lookMs * 2, LONGEST_LOOK_MS);
    }
    this.#looking = false;
  }

  #leave(guest: Guest, turn: boolean): void {
    if (this.#guests.delete(guest)) guest.leave(turn);
  }
}
