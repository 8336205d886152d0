import type { Feed, FeedEvent, FeedListener } from "./feed.js";
import type { StreamPosition } from "./position.js";
import { unlessAborted } from "./pause.js";
import { EveryItem, LatestOfEachKey, type WatchBuffer } from "./watch-buffer.js";

const DEFAULT_CAPACITY = 1_000;
const DEFAULT_BATCH_LIMIT = 1_000;
/** A longer replay costs more than the snapshot that it saves. */
const REPLAY_LIMIT = 10_000;
/** How long the first backfill waits for the feed, so that one is enough when the server is there. */
const LIVE_WAIT_MS = 1_000;

/** Revisions that a watcher has seen, by key. */
export type Seen = ReadonlyMap<string, bigint>;

export type WatchOptions<T> = CommonOptions<T> & (LatestOptions | EveryOptions);

/** The reader gets the newest item of each key; revisions between may be left out. */
interface LatestOptions {
  overflow: "latest";
  /** Where the reader stood in the stream: only what has changed since then comes at first. */
  resume?: StreamPosition | undefined;
}

/** The reader gets every revision, without holes. */
interface EveryOptions {
  overflow: "fail";
  /** What the reader has: `[[orderId, 7n]]`. Only later revisions come. */
  seen?: Iterable<readonly [key: string, revision: bigint]>;
}

interface CommonOptions<T> {
  feed: Feed;
  /** What the event means to this watcher; nothing if it is not its concern. */
  select: (event: FeedEvent) => readonly T[];
  /** What the item is about, such as a SKU or an order's id. */
  key: (item: T) => string;
  /** Rises with every change of what the key names. */
  revision: (item: T) => bigint;
  /**
   * Reads from the database what is newer than `seen`, each key's revisions in order. It may read
   * more: what was seen is dropped. It must read the primary, which has all that was published, and
   * reject when the signal fires.
   */
  backfill: (
    seen: Seen,
    signal: AbortSignal,
  ) => AsyncIterable<readonly T[]> | Iterable<readonly T[]>;
  /** Items, or keys, that may wait for the reader; past it the watch fails. 1,000 if not given. */
  capacity?: number;
  /** Most items of one batch; 1,000 if not given. */
  batchLimit?: number;
  signal: AbortSignal;
}

/** Some items that are new to the reader; none where only the rest is news. */
export interface WatchBatch<T> {
  items: T[];
  /** From where the reader can resume after this batch; undefined if NATS was never there. */
  position: StreamPosition | undefined;
  /** True when nothing newer was known when the batch was made. */
  caughtUp: boolean;
}

/** More waits for the reader than it may. It can resume where it stopped. */
export class WatchOverflowError extends Error {
  override readonly name = "WatchOverflowError";
}

/**
 * Follows something that changes: first what there is, then each change as it happens, with no
 * hole and no repetition between them. Where events may have been missed, it reads the database
 * again for what is newer. Ends when the signal fires; throws a WatchOverflowError, or what
 * `backfill` throws. The subscription ends with the loop that reads it.
 * @example
 *     yield* watch({
 *       feed: this.events.feed("orders"),
 *       select: (event) => event.meta.aggregateId === orderId ? changesIn(event) : [],
 *       key: () => orderId,
 *       revision: (change) => change.revision,
 *       backfill: (seen, signal) => this.changesSince(orderId, seen.get(orderId) ?? 0n, signal),
 *       overflow: "fail",
 *       seen: [[orderId, token.revision]],
 *       signal: call.signal,
 *     });
 */
export async function* watch<T>(options: WatchOptions<T>): AsyncGenerator<WatchBatch<T>> {
  const { feed, signal } = options;
  if (signal.aborted) return;
  const watcher = new Watcher(options);
  using _subscription = feed.subscribe(watcher);
  try {
    await watcher.waitUntilLive();
    while (!signal.aborted) {
      if (watcher.gap) yield* watcher.catchUp();
      else if (watcher.waiting) yield* watcher.drain();
      else await watcher.nextChange();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** One reader's buffer and what it has seen. */
class Watcher<T> implements FeedListener {
  /** Something may have been missed since the last backfill began. */
  gap = true;
  readonly #options: WatchOptions<T>;
  readonly #buffer: WatchBuffer<T>;
  readonly #seen: Map<string, bigint>;
  readonly #batchLimit: number;
  /** The last event that went into the buffer or past it. */
  #position: StreamPosition | undefined;
  /** Up to here the reader has everything. */
  #reached: StreamPosition | undefined;
  /** Where the reader says it stood, until that was made use of. */
  #resume: StreamPosition | undefined;
  #overflowed = false;
  #toldCaughtUp = false;
  #changed = Promise.withResolvers<void>();

  constructor(options: WatchOptions<T>) {
    const { overflow, capacity = DEFAULT_CAPACITY, batchLimit = DEFAULT_BATCH_LIMIT } = options;
    this.#options = options;
    this.#seen = new Map(options.overflow === "fail" ? options.seen : []);
    this.#batchLimit = batchLimit;
    this.#buffer =
      overflow === "latest" ? new LatestOfEachKey(capacity, options) : new EveryItem(capacity);
    this.#position = options.feed.position;
    this.#resume = options.overflow === "latest" ? options.resume : undefined;
    this.#reached = this.#resume;
  }

  get waiting(): boolean {
    return this.#buffer.size > 0 || this.#overflowed;
  }

  onEvent(event: FeedEvent): void {
    this.#position = event.position;
    for (const item of this.#options.select(event)) {
      if (this.#isNew(item) && !this.#buffer.add(item)) this.#overflowed = true;
    }
    this.#changed.resolve();
  }

  onGap(position: StreamPosition): void {
    this.#position = position;
    this.gap = true;
    this.#changed.resolve();
  }

  onAway(): void {
    this.#position = undefined;
  }

  async waitUntilLive(): Promise<void> {
    if (this.#position) return;
    const timer = setTimeout(() => this.#changed.resolve(), LIVE_WAIT_MS);
    await this.nextChange().finally(() => clearTimeout(timer));
  }

  async nextChange(): Promise<void> {
    this.#changed = Promise.withResolvers();
    await unlessAborted(this.#options.signal, this.#changed.promise);
  }

  /** Brings the reader from what it has seen to now. */
  async *catchUp(): AsyncGenerator<WatchBatch<T>> {
    const { signal, backfill } = this.#options;
    this.gap = false;
    const base = this.#position;
    const changed = await this.#changedSinceResume(base);
    // One batch is held back: only the last one can say that it was the last.
    let held: T[] = [];
    for await (const items of backfill(this.#seen, signal)) {
      const fresh = this.#takeNew(changed ? this.#onlyChanged(items, changed) : items, true);
      if (held.length > 0 && fresh.length > 0) yield this.#batch(held, false);
      if (fresh.length > 0) held = fresh;
      if (this.#overflowed) throw tooSlow();
    }
    signal.throwIfAborted();
    this.#reached = base ?? this.#reached;
    yield this.#batch(held, true);
  }

  *drain(): Generator<WatchBatch<T>> {
    if (this.#overflowed) throw tooSlow();
    const items = this.#takeNew(this.#buffer.take(this.#batchLimit), false);
    const last = this.#buffer.size === 0 && !this.gap;
    if (last) this.#reached = this.#position ?? this.#reached;
    // Also without items, to say that it is up to date now, if it was told that it is not.
    if (items.length > 0 || (last && !this.#toldCaughtUp)) yield this.#batch(items, last);
  }

  /** The keys that the stream names since then; undefined when it cannot tell. */
  async #changedSinceResume(base: StreamPosition | undefined): Promise<Set<string> | undefined> {
    const { feed, select, key, signal } = this.#options;
    const resume = this.#resume;
    this.#resume = undefined;
    if (!resume || !base) return undefined;
    const changed = new Set<string>();
    try {
      const events = await feed.replay(resume, base, { limit: REPLAY_LIMIT, signal });
      if (!events) return undefined;
      for await (const event of events) for (const item of select(event)) changed.add(key(item));
      return changed;
    } catch {
      // NATS went away meanwhile: then all there is comes once more.
      return undefined;
    }
  }

  /**
   * The values come from the database even so: two changes of one key may stand in the stream in
   * the other order, and the reader would see the older one last. Of the keys that are left out it
   * has the present revision, or that one's event is still to come.
   */
  #onlyChanged(items: readonly T[], changed: ReadonlySet<string>): T[] {
    const { key, revision } = this.#options;
    return items.filter((item) => {
      if (!changed.has(key(item))) this.#seen.set(key(item), revision(item) - 1n);
      return changed.has(key(item));
    });
  }

  #batch(items: T[], last: boolean): WatchBatch<T> {
    const caughtUp = last && this.#position !== undefined && !this.gap && this.#buffer.size === 0;
    this.#toldCaughtUp = caughtUp;
    return { items, position: this.#reached, caughtUp };
  }

  #isNew(item: T): boolean {
    return this.#options.revision(item) > this.#seenOf(item);
  }

  #seenOf(item: T): bigint {
    return this.#seen.get(this.#options.key(item)) ?? 0n;
  }

  /** Drops what was seen. Events past a hole are dropped too, since the database has them. */
  #takeNew(items: readonly T[], fromDatabase: boolean): T[] {
    const { key, revision, overflow } = this.#options;
    return items.filter((item) => {
      if (!this.#isNew(item)) return false;
      if (overflow === "fail" && !fromDatabase && revision(item) > this.#seenOf(item) + 1n) {
        this.gap = true;
        return false;
      }
      this.#seen.set(key(item), revision(item));
      return true;
    });
  }
}

function tooSlow(): WatchOverflowError {
  return new WatchOverflowError("the reader is slower than the changes");
}
