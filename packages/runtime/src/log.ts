import { trace, TraceFlags } from "@opentelemetry/api";
import pino from "pino";

/** A process's log: one JSON object a line. */
export type Logger = pino.Logger;

/**
 * Opens the log of a process, on standard output.
 *
 * @example
 * createLogger({ name: "orders", level: "info" }).info({ order_id }, "Order placed");
 */
export function createLogger({ name, level }: { name: string; level: string }): Logger {
  const options: pino.LoggerOptions = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: ["authorization", "payment_token"],
    mixin: traceOfLine,
  };
  return pino(options, standardOutput);
}

/** By which a line is found that belongs to a trace, where that is sampled. */
function traceOfLine(): object {
  const span = trace.getActiveSpan()?.spanContext();
  if (!span || !(span.traceFlags & TraceFlags.SAMPLED)) return {};
  return { trace_id: span.traceId, span_id: span.spanId };
}

/** Lines that leave in one piece. */
const MOST_LINES = 256;
const LONGEST_WAIT_MS = 100;

/**
 * Standard output of the process, for all of its loggers. Lines leave together, at the latest after a
 * tenth of a second and when the process ends: a write for each line would cost as much as the call
 * that it tells of. A slow reader does not stop the event loop. All lines are written; the last ones
 * of a process may come before those that were being written as it ended.
 */
class Lines {
  #lines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stream: ReturnType<typeof pino.destination> | undefined;

  write(line: string): void {
    this.#stream ??= this.#open();
    this.#lines.push(line);
    if (this.#lines.length === MOST_LINES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), LONGEST_WAIT_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length > 0) this.#stream?.write(this.#lines.join(""));
    this.#lines = [];
  }

  #open() {
    // Comes before pino's own listener, which closes the stream.
    process.once("beforeExit", () => this.#flush());
    const stream = pino.destination({ dest: 1, sync: false });
    process.once("exit", () => {
      this.#flush();
      this.#stream?.flushSync();
    });
    return stream.once("close", () => (this.#stream = undefined));
  }
}

const standardOutput = new Lines();

/** The same log by the interface that Nest writes to; its start-up chatter goes to `debug`. */
export function nestLogger(log: Logger) {
  const words = (rest: unknown[]) => ({ context: rest.at(-1) });
  return {
    log: (message: unknown, ...rest: unknown[]) => log.debug(words(rest), String(message)),
    debug: (message: unknown, ...rest: unknown[]) => log.debug(words(rest), String(message)),
    verbose: (message: unknown, ...rest: unknown[]) => log.trace(words(rest), String(message)),
    warn: (message: unknown, ...rest: unknown[]) => log.warn(words(rest), String(message)),
    error: (message: unknown, ...rest: unknown[]) =>
      log.error(
        { ...words(rest), err: message },
        message instanceof Error ? message.message : String(message),
      ),
    fatal: (message: unknown, ...rest: unknown[]) => log.fatal(words(rest), String(message)),
  };
}
