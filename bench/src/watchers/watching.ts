import type { InventoryService, WatchStockResponse } from "@emporium/contracts/inventory/v1";
import type { GrpcClient } from "@emporium/grpc";

/** Milliseconds that a change may take to every watcher; a stream that ends is told at once. */
const PATIENCE_MS = 60_000;

/** Opened at once: a server takes so many unfinished TLS handshakes of one address, and no more. */
const AT_ONCE = 50;

/** Open streams of one product, spread over some clients. Dispose of them to leave. */
export class Watchers implements AsyncDisposable {
  readonly #leaving = new AbortController();
  readonly #streams: AsyncIterator<WatchStockResponse>[] = [];

  constructor(private readonly clients: GrpcClient<typeof InventoryService>[]) {}

  /** Opens more, until there are so many; resolves when each has seen what was there before. */
  async growTo(count: number): Promise<void> {
    while (this.#streams.length < count) {
      const length = Math.min(AT_ONCE, count - this.#streams.length);
      const more = Array.from({ length }, (_, at) => this.#open(this.#streams.length + at));
      this.#streams.push(...(await Promise.all(more)));
    }
  }

  async #open(at: number): Promise<AsyncIterator<WatchStockResponse>> {
    const client = this.clients[at % this.clients.length]!;
    const stream = client.watchStock({ skus: ["watched"] }, { signal: this.#leaving.signal });
    const messages = stream[Symbol.asyncIterator]();
    while (!(await nextOf(messages)).caughtUp);
    return messages;
  }

  /** When each watcher has the next change, by `performance.now()`. */
  async next(): Promise<number[]> {
    const late = AbortSignal.timeout(PATIENCE_MS);
    const arrivals = this.#streams.map(async (messages) => {
      while ((await nextOf(messages)).levels.length === 0);
      return performance.now();
    });
    const lateness = new Promise<never>((_, reject) => {
      late.addEventListener("abort", () => reject(late.reason), { once: true });
    });
    return Promise.race([Promise.all(arrivals), lateness]);
  }

  async [Symbol.asyncDispose]() {
    this.#leaving.abort();
    await Promise.allSettled(this.#streams.map((messages) => messages.next()));
    for (const client of this.clients) client[Symbol.dispose]();
  }
}

async function nextOf(messages: AsyncIterator<WatchStockResponse>): Promise<WatchStockResponse> {
  const { done, value } = await messages.next();
  if (done) throw new Error("A watcher's stream has ended");
  return value;
}
