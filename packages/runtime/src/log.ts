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
  };
  // Lines leave at once, but a slow reader does not stop the event loop.
  return pino(options, pino.destination({ dest: 1, sync: false, minLength: 0 }));
}

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
