import { Code, ConnectError } from "@emporium/grpc";

/**
 * What becomes of one call: done, as without a script; refused by the rules; failed before it did anything; done, and the
 * answer lost; never arrived, or done and never answered, until the caller gives up.
 */
export type Fault = "done" | "failed" | "lost" | "stuck" | "unanswered";

/**
 * A script of what goes wrong: for one purchase and one kind of call, faults in the order they
 * happen; then all goes well. Ids of everything that belongs to a purchase end alike.
 */
export class Faults {
  readonly #script = new Map<string, Fault[]>();
  readonly #refused = new Set<string>();
  /** Calls that came, as `<call> <id without its prefix>`. */
  readonly calls: string[] = [];

  add(id: string, call: string, ...faults: Fault[]): this {
    const key = keyOf(call, id);
    this.#script.set(key, [...(this.#script.get(key) ?? []), ...faults]);
    return this;
  }

  /** From now on the rules refuse this call, however often it comes. */
  refuse(id: string, call: string): this {
    this.#refused.add(keyOf(call, id));
    return this;
  }

  /** The rules refuse this call no longer. */
  allow(id: string, call: string): this {
    this.#refused.delete(keyOf(call, id));
    return this;
  }

  /** How often this call came for this purchase. */
  count(id: string, call: string): number {
    return this.calls.filter((key) => key === keyOf(call, id)).length;
  }

  /** Plays a call: does it, or what the script has for it. */
  async play<T>(
    call: string,
    id: string,
    signal: AbortSignal,
    does: () => T | Promise<T>,
    refusal: () => Error = () => new ConnectError("refused", Code.FailedPrecondition),
  ): Promise<T> {
    const key = keyOf(call, id);
    this.calls.push(key);
    const work = async () => {
      if (this.#refused.has(key)) throw refusal();
      return does();
    };
    switch (this.#script.get(key)?.shift()) {
      case "failed":
        throw new ConnectError("connection refused", Code.Unavailable);
      case "lost":
        await work().catch(() => undefined);
        throw new ConnectError("connection reset", Code.Unavailable);
      case "stuck":
        return stuck(signal);
      case "unanswered":
        await work().catch(() => undefined);
        return stuck(signal);
      case "done":
      case undefined:
        return work();
    }
  }
}

function keyOf(call: string, id: string): string {
  return `${call} ${id.slice(4)}`;
}

function stuck(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(ConnectError.from(signal.reason, Code.DeadlineExceeded));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
