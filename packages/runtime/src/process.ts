import { ConfigurationError } from "./environment.js";

/**
 * Runs a process from its start to an orderly end: starts it, waits for SIGTERM, SIGINT, or the
 * parent that it was started by to go away, disposes it, and exits.
 *
 * A start that fails prints one line (several for several wrong variables) and exits with 1, with
 * the stack only for errors that are neither configuration nor a taken port.
 *
 * @example
 * await runProcess(() => create(configFromEnvironment()));
 */
export async function runProcess(start: () => Promise<AsyncDisposable>): Promise<void> {
  const stop = Promise.withResolvers<void>();
  process.once("SIGTERM", stop.resolve);
  process.once("SIGINT", stop.resolve);
  if (process.connected) process.once("disconnect", stop.resolve);
  let running: AsyncDisposable;
  try {
    running = await start();
  } catch (error) {
    process.stderr.write(`${startFailure(error)}\n`);
    process.exit(1);
  }
  await stop.promise;
  await running[Symbol.asyncDispose]();
  process.exit(0);
}

function startFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const plain = error instanceof ConfigurationError || error.name === "ListenError";
  return plain ? error.message : (error.stack ?? error.message);
}
