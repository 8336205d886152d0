/** Items that a watcher has not read yet, bounded. */
export interface WatchBuffer<T> {
  readonly size: number;
  /** False when the item does not fit. */
  add(item: T): boolean;
  /** Takes up to `limit` items out, oldest first. */
  take(limit: number): T[];
}

/** Keeps every item. */
export class EveryItem<T> implements WatchBuffer<T> {
  #items: T[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  add(item: T): boolean {
    if (this.#items.length >= this.#capacity) return false;
    this.#items.push(item);
    return true;
  }

  take(limit: number): T[] {
    return this.#items.splice(0, limit);
  }
}

/** Keeps the newest item of each key, in the order in which the keys came. */
export class LatestOfEachKey<T> implements WatchBuffer<T> {
  readonly #items = new Map<string, T>();
  readonly #capacity: number;
  readonly #key: (item: T) => string;
  readonly #revision: (item: T) => bigint;

  constructor(
    capacity: number,
    { key, revision }: { key: (item: T) => string; revision: (item: T) => bigint },
  ) {
    this.#capacity = capacity;
    this.#key = key;
    this.#revision = revision;
  }

  get size(): number {
    return this.#items.size;
  }

  add(item: T): boolean {
    const key = this.#key(item);
    const waiting = this.#items.get(key);
    if (waiting === undefined && this.#items.size >= this.#capacity) return false;
    if (waiting === undefined || this.#revision(waiting) < this.#revision(item)) {
      this.#items.set(key, item);
    }
    return true;
  }

  take(limit: number): T[] {
    const taken = [...this.#items].slice(0, limit);
    for (const [key] of taken) this.#items.delete(key);
    return taken.map(([, item]) => item);
  }
}
