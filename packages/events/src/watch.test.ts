import fc from "fast-check";
import { expect, test } from "vitest";
import { Feed, FeedEvent } from "./feed.js";
import type { StreamPosition } from "./position.js";
import { watch, WatchOverflowError, type WatchOptions } from "./watch.js";

interface Change {
  key: string;
  revision: bigint;
}

/** A source in one process: what is committed, what of it the stream has, and the feed of that. */
class World {
  readonly committed: Change[] = [];
  readonly published: Change[] = [];
  incarnation = "2026-11-23T00:00:00Z#0";
  readonly feed = new Feed({
    onFirst: () => undefined,
    replay: async (from, until) => {
      if (from.incarnation !== this.incarnation) return undefined;
      return this.#events(from.sequence, until.sequence);
    },
  });

  constructor(
    /** False where the revisions of a key come by way of several aggregates, as stock levels do. */
    readonly inOrder = true,
  ) {
    this.back();
  }

  commit(key: string): void {
    const revisions = this.committed.filter((change) => change.key === key).length;
    this.committed.push({ key, revision: BigInt(revisions + 1) });
  }

  /** Publishes something that is committed; the feed hears of it unless it is away or loses it. */
  publish(at = 0, lost = false): void {
    const unpublished = this.committed.filter((change) => !this.published.includes(change));
    const picked = unpublished[at % unpublished.length];
    const next = this.inOrder ? unpublished.find(({ key }) => key === picked?.key) : picked;
    if (!next) return;
    this.published.push(next);
    if (this.feed.position && !lost) this.feed.tell(this.#event(this.published.length));
  }

  back(): void {
    this.feed.tellGap({ incarnation: this.incarnation, sequence: this.published.length });
  }

  newest(): Record<string, bigint> {
    return Object.fromEntries(this.committed.map(({ key, revision }) => [key, revision]));
  }

  options(signal: AbortSignal) {
    const select = ({ meta }: FeedEvent): Change[] => [
      { key: meta.aggregateId, revision: meta.version },
    ];
    return {
      feed: this.feed,
      select,
      key: ({ key }: Change) => key,
      revision: ({ revision }: Change) => revision,
      signal,
      batchLimit: 2,
    };
  }

  every(signal: AbortSignal, more: Partial<WatchOptions<Change>> = {}) {
    const backfill = (seen: ReadonlyMap<string, bigint>) => [
      this.committed.filter(({ key, revision }) => revision > (seen.get(key) ?? 0n)),
    ];
    return watch({ ...this.options(signal), overflow: "fail", backfill, ...more });
  }

  latest(signal: AbortSignal, more: Partial<WatchOptions<Change>> = {}) {
    const backfill = () => [
      Object.entries(this.newest()).map(([key, revision]) => ({ key, revision })),
    ];
    return watch({ ...this.options(signal), overflow: "latest", backfill, ...more });
  }

  async *#events(from: number, until: number): AsyncGenerator<FeedEvent> {
    for (let sequence = from + 1; sequence <= until; sequence++) yield this.#event(sequence);
  }

  #event(sequence: number): FeedEvent {
    const { key, revision } = this.published[sequence - 1]!;
    const meta = {
      id: `${key}-${revision}`,
      type: "a.v1.Changed",
      source: "/t/inventory",
      aggregateType: "rsv",
      aggregateId: key,
      version: revision,
      time: new Date(0),
      headers: {},
    };
    return new FeedEvent(meta, { incarnation: this.incarnation, sequence }, new Uint8Array());
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Reads on each time it is let, in a loop of its own, and keeps what it read. */
class Reader {
  readonly items: Change[] = [];
  position: StreamPosition | undefined;
  caughtUp = false;
  readonly ended: Promise<void>;
  #gate = Promise.withResolvers<void>();

  constructor(batches: ReturnType<typeof watch<Change>>) {
    this.ended = this.#read(batches);
  }

  letRead(): void {
    this.#gate.resolve();
    this.#gate = Promise.withResolvers();
  }

  async #read(batches: ReturnType<typeof watch<Change>>): Promise<void> {
    for await (const { items, position, caughtUp } of batches) {
      this.items.push(...items);
      this.position = position;
      this.caughtUp = caughtUp;
      await this.#gate.promise;
    }
  }
}

const key = fc.constantFrom("a", "b", "c", "d", "e");
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant("commit" as const), key }) },
    { weight: 6, arbitrary: fc.record({ what: fc.constant("publish" as const), at: fc.nat(4) }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("read" as const) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("lose" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constantFrom("away" as const, "back" as const) }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("reconnect" as const) }) },
  ),
  { minLength: 20, maxLength: 80 },
);

/** Plays the steps on a world; a reader that reconnects has only its token. Ends when all has been read. */
async function play(
  world: World,
  sequence: typeof steps extends fc.Arbitrary<infer S> ? S : never,
  open: (signal: AbortSignal, before: Reader | undefined) => Reader,
): Promise<Reader[]> {
  let stop = new AbortController();
  const readers = [open(stop.signal, undefined)];
  const end = async (): Promise<void> => {
    stop.abort();
    readers.at(-1)!.letRead();
    await readers.at(-1)!.ended;
    expect(world.feed.listeners).toBe(0);
  };
  for (const step of sequence) {
    if (step.what === "commit") world.commit(step.key);
    if (step.what === "publish") world.publish(step.at);
    if (step.what === "lose") world.publish(0, true);
    if (step.what === "read") readers.at(-1)!.letRead();
    if (step.what === "away") world.feed.tellAway();
    if (step.what === "back") world.back();
    if (step.what === "reconnect") {
      if (!world.feed.position) world.back();
      await end();
      stop = new AbortController();
      readers.push(open(stop.signal, readers.at(-1)));
    }
    await turn();
  }
  // Nothing else may heal what went wrong: only a feed that lost something says so.
  if (!world.feed.position || sequence.some(({ what }) => what === "lose")) world.back();
  while (world.published.length < world.committed.length) world.publish();
  for (let quiet = 0; quiet < 5; quiet++) {
    const before = readers.at(-1)!.items.length;
    readers.at(-1)!.letRead();
    await turn();
    await turn();
    if (readers.at(-1)!.items.length > before) quiet = 0;
  }
  expect(readers.at(-1)!.caughtUp).toBe(true);
  await end();
  return readers;
}

test("a watch that leaves nothing out gives every revision once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const world = new World();
      const readers = await play(world, sequence, (signal, before) => {
        const seen = before?.items.map(({ key, revision }) => [key, revision] as const);
        const reader = new Reader(world.every(signal, seen ? { seen } : {}));
        if (before) reader.items.push(...before.items);
        return reader;
      });
      const read = Object.groupBy(readers.at(-1)!.items, ({ key }) => key);
      for (const [key, newest] of Object.entries(world.newest())) {
        const revisions = Array.from({ length: Number(newest) }, (_, at) => BigInt(at + 1));
        expect(read[key]?.map(({ revision }) => revision)).toEqual(revisions);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("a watch of the latest never steps back and ends with the newest of each key", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const world = new World(false);
      const readers = await play(
        world,
        sequence.filter(({ what }) => what !== "lose"),
        (signal, before) => new Reader(world.latest(signal, { resume: before?.position })),
      );
      const known: Record<string, bigint> = {};
      for (const { items } of readers) {
        for (const { key, revision } of items) {
          expect(revision).toBeGreaterThanOrEqual(known[key] ?? 0n);
          known[key] = revision;
        }
      }
      expect(known).toEqual(world.newest());
    }),
    { numRuns: 1_000 },
  );
});

test("a reader that resumes hears of the changed keys only", async () => {
  const world = new World();
  for (const key of ["a", "b", "c"]) world.commit(key);
  for (let nr = 0; nr < 3; nr++) world.publish();
  world.back();
  const first = world.latest(AbortSignal.timeout(5_000));
  const { value } = await first.next();
  expect(value).toMatchObject({ caughtUp: true, position: { sequence: 3 } });
  await first.return(undefined);
  world.commit("b");
  world.publish();
  const resume = value!.position;
  const second = world.latest(AbortSignal.timeout(5_000), { resume });
  expect((await second.next()).value).toMatchObject({
    items: [{ key: "b", revision: 2n }],
    caughtUp: true,
  });
  await second.return(undefined);
  world.incarnation = "2026-11-23T00:00:01Z#0";
  world.back();
  const third = world.latest(AbortSignal.timeout(5_000), { resume, batchLimit: 9 });
  expect((await third.next()).value!.items).toHaveLength(3);
  await third.return(undefined);
  expect(world.feed.listeners).toBe(0);
});

test("a reader that is too slow to get every revision is told so", async () => {
  const world = new World();
  const slow = world.every(AbortSignal.timeout(5_000), { capacity: 10 });
  await slow.next();
  for (let nr = 0; nr < 11; nr++) {
    world.commit("a");
    world.publish();
  }
  await expect(slow.next()).rejects.toThrow(WatchOverflowError);
  expect(world.feed.listeners).toBe(0);
});

test("a reader that is slow and wants the latest gets one item a key, however many changed", async () => {
  const world = new World();
  const slow = world.latest(AbortSignal.timeout(5_000), { capacity: 2 });
  await slow.next();
  for (let nr = 0; nr < 1_000; nr++) {
    world.commit(nr % 2 ? "a" : "b");
    world.publish();
  }
  expect((await slow.next()).value).toMatchObject({
    items: [
      { key: "b", revision: 500n },
      { key: "a", revision: 500n },
    ],
    caughtUp: true,
  });
  await slow.return(undefined);
});

test("a watch that is aborted while it waits ends at once", async () => {
  const world = new World();
  const stop = new AbortController();
  const watching = world.every(stop.signal);
  await watching.next();
  const next = watching.next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(world.feed.listeners).toBe(0);
});
