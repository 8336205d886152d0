/** How often it is looked whether npm is still there, in milliseconds. */
const PARENT_INTERVAL_MS = 500;

/**
 * Resolves when the user wants an end: Ctrl-C, SIGTERM, a closed terminal, or npm, which started us,
 * was killed. Several of them at once count as one: npm passes on the Ctrl-C that we also get.
 */
export function askedToStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => resolve());
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event)
    setInterval(() => process.ppid !== parent && resolve(), PARENT_INTERVAL_MS).unref();
  return promise;
}
