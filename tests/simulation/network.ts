import { Code, ConnectError } from "@emporium/grpc";
import type { VirtualTime } from "./virtual-time.ts";

/** A process of checkout. Whatever it does goes through `alive`, so it can be killed or stopped. */
export interface Process {
  name: string;
  /** Resolves while it runs, later when it was stopped for a while, and never once it is dead. */
  alive: () => Promise<void>;
}

/** Calls that take a while, arrive late, fail, or get no answer, as the seed says. */
export class Network {
  readonly trace: string[] = [];
  /** No call fails any more. */
  isWell = false;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  note(what: string): void {
    this.trace.push(`${this.#time.now.toFixed(1)} ${what}`);
  }

  /** One call: what it does happens once, or not at all, at a moment that the seed decides. */
  async call<T>(
    from: Process,
    what: string,
    options: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined },
    work: () => T,
  ): Promise<T> {
    await from.alive();
    const { random } = this.#time;
    const fate = this.isWell ? 1 : random.number();
    const delays = [this.#delay(), this.#delay()];
    const limit = Promise.withResolvers<never>();
    const giveUp = () => limit.reject(new ConnectError("no answer in time", Code.DeadlineExceeded));
    const timer =
      options.timeoutMs === undefined ? undefined : setTimeout(giveUp, options.timeoutMs);
    options.signal?.addEventListener("abort", giveUp);
    if (options.signal?.aborted) giveUp();
    const answer = async () => {
      await this.#time.sleep(delays[0]!);
      if (fate < 0.05) return lost(`${what} never arrived`);
      if (fate < 0.1) return new Promise<never>(() => undefined);
      this.note(`${from.name} ${what}`);
      const [result] = await Promise.allSettled([Promise.resolve().then(work)]);
      await this.#time.sleep(delays[1]!);
      if (fate < 0.16) return lost(`the answer to ${what} was lost`);
      if (fate < 0.2) return new Promise<never>(() => undefined);
      if (result.status === "rejected") throw result.reason;
      return result.value;
    };
    try {
      return await Promise.race([answer(), limit.promise]);
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", giveUp);
      await from.alive();
    }
  }

  /** Mostly a moment, at times longer than anybody waits. */
  #delay(): number {
    const { random } = this.#time;
    return this.isWell || random.number() < 0.93 ? random.number() * 5 : random.number() * 400;
  }
}

function lost(message: string): never {
  throw new ConnectError(message, Code.Unavailable);
}
