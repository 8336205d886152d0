import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { EventMeta } from "./envelope.js";
import type { StreamPosition } from "./position.js";

/** One event of a feed. It is read once, however many watchers look at it. */
export class FeedEvent {
  readonly meta: EventMeta;
  readonly position: StreamPosition;
  readonly #payload: Uint8Array;
  #message: { typeName: string; message: unknown } | undefined;

  constructor(meta: EventMeta, position: StreamPosition, payload: Uint8Array) {
    this.meta = meta;
    this.position = position;
    this.#payload = payload;
  }

  /** The message, if it is of this type. Shared with other watchers: do not change it. */
  as<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> | undefined {
    if (this.meta.type !== schema.typeName) return undefined;
    this.#message ??= { typeName: schema.typeName, message: fromBinary(schema, this.#payload) };
    return this.#message.message as MessageShape<Desc>;
  }
}

/** What a feed tells each of its watchers. None of these may throw or wait. */
export interface FeedListener {
  onEvent(event: FeedEvent): void;
  /** Events may have been missed; those after this position come. */
  onGap(position: StreamPosition): void;
  /** The server is away: what is seen may be out of date. */
  onAway(): void;
}

/**
 * The events of one source as they come, for any number of watchers in this process. It has one
 * subscription, which a `StreamFollower` runs, and keeps nothing: watchers have their own buffers.
 */
export class Feed {
  readonly #listeners = new Set<FeedListener>();
  readonly #onFirst: () => void;
  readonly #replay: Replay;
  #position: StreamPosition | undefined;

  constructor({ onFirst, replay }: { onFirst: () => void; replay: Replay }) {
    this.#onFirst = onFirst;
    this.#replay = replay;
  }

  /** The last event that was told; undefined while the server is away. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  /** How many watch; for tests and metrics. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Tells the listener of every event from here on, until it is disposed. */
  subscribe(listener: FeedListener): Disposable {
    this.#listeners.add(listener);
    this.#onFirst();
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /**
   * The events after `from` up to and with `until`, oldest first, from the stream itself. Undefined
   * when the stream no longer has them, or has more than `limit`.
   */
  replay(
    from: StreamPosition,
    until: StreamPosition,
    { limit, signal }: { limit: number; signal: AbortSignal },
  ): Promise<AsyncIterable<FeedEvent> | undefined> {
    return this.#replay(from, until, { limit, signal });
  }

  /** For the follower: the next event. */
  tell(event: FeedEvent): void {
    this.#position = event.position;
    for (const listener of this.#listeners) listener.onEvent(event);
  }

  /** For the follower: events come from this position on, and some before it may be missing. */
  tellGap(position: StreamPosition): void {
    this.#position = position;
    for (const listener of this.#listeners) listener.onGap(position);
  }

  /** For the follower: events come again, and none is missing. */
  tellBack(position: StreamPosition): void {
    this.#position = position;
  }

  /** For the follower: the server went away. */
  tellAway(): void {
    this.#position = undefined;
    for (const listener of this.#listeners) listener.onAway();
  }
}

export type Replay = Feed["replay"];
