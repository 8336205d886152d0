import { Code, ConnectError } from "@emporium/grpc";

/**
 * What becomes of one call: refused by the rules; failed before it did anything; done, and the
 * answer lost; never arrived, or done and never answered, until the caller gives up.
 */
export type Fault = "refused" | "failed" | "lost" | "stuck" | "unanswered";

/** A script of what goes wrong: faults by call, in the order they happen; then all goes well. */
export class Faults {
  readonly #script = new Map<string, Fault[]>();
  /** Calls that came, in order. */
  readonly calls: string[] = [];

  add(call: string, ...faults: Fault[]): this {
    this.#script.set(call, [...(this.#script.get(call) ?? []), ...faults]);
    return this;
  }

  /** Plays a call: does it, or what the script has for it. */
  async play<T>(
    call: string,
    signal: AbortSignal,
    work: () => T | Promise<T>,
    refusal: () => Error = () => new ConnectError("refused", Code.FailedPrecondition),
  ): Promise<T> {
    this.calls.push(call);
    switch (this.#script.get(call)?.shift()) {
      case "refused":
        throw refusal();
      case "failed":
        throw new ConnectError("connection refused", Code.Unavailable);
      case "lost":
        await work();
        throw new ConnectError("connection reset", Code.Unavailable);
      case "stuck":
        return stuck(signal);
      case "unanswered":
        await work();
        return stuck(signal);
      case undefined:
        return work();
    }
  }
}

function stuck(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(ConnectError.from(signal.reason, Code.DeadlineExceeded));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
