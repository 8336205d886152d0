import { runProcess } from "@emporium/runtime";
import { openTelemetry } from "@emporium/telemetry";

/**
 * Runs a service as a process, from its start to an orderly end (see `runProcess`), with telemetry from
 * before its start until after its end.
 *
 * @example
 * await runService("orders", () => create(configFromEnvironment()));
 */
export function runService(name: string, start: () => Promise<AsyncDisposable>): Promise<void> {
  return runProcess(async () => {
    await using parts = new AsyncDisposableStack();
    parts.use(await openTelemetry(name));
    parts.use(await start());
    return parts.move();
  });
}
