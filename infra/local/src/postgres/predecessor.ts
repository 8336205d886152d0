import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { identify } from "../guard/identity.js";
import { type RecordedProcess, stopProcesses } from "../guard/leftovers.js";

/**
 * Clears the way for a server on a data directory: a server that was left on it is stopped, and a
 * pid file is removed whose process id belongs to another program by now, which Postgres itself would
 * take for a server. Call it only under the lock of the directory.
 */
export async function clearPredecessor(
  data: string,
  stop: Pick<RecordedProcess, "stopSignal" | "graceMs">,
): Promise<void> {
  const file = join(data, "postmaster.pid");
  const pid = Number.parseInt(await readFile(file, "utf8").catch(() => ""), 10);
  const process = pid > 0 ? identify(pid) : undefined;
  if (!process) return;
  if (commandOf(pid).includes(data)) await stopProcesses([{ ...process, ...stop, stage: 0 }]);
  else await rm(file, { force: true });
}

function commandOf(pid: number): string {
  try {
    return process.platform === "linux"
      ? readFileSync(`/proc/${pid}/cmdline`, "utf8")
      : execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}
