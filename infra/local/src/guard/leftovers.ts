import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hasEnded, isAlive, type ProcessIdentity } from "./identity.js";
import type { Command } from "./messages.js";

/** Milliseconds that a guard may need to stop everything after its runner died. */
const GUARD_PATIENCE_MS = 30_000;

/** A process that a guard runs, as it is written down. */
export type RecordedProcess = ProcessIdentity & Pick<Command, "stopSignal" | "graceMs" | "stage">;

/** What a runner has started, for the one after it. */
export interface ProcessRecord {
  guard: ProcessIdentity;
  children: RecordedProcess[];
}

/** Writes down what runs; the file is whole at any moment. */
export function writeRecord(path: string, record: ProcessRecord): void {
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
}

/**
 * Stops what a runner that is gone has left: its guard is still at it, or was killed as well. Call it
 * only when the runner is known to be gone.
 */
export async function stopLeftovers(path: string): Promise<void> {
  const record = readRecord(path);
  if (!record) return;
  if (!(await hasEnded(record.guard, GUARD_PATIENCE_MS))) signal(record.guard, "SIGKILL");
  await stopProcesses(record.children);
  rmSync(path, { force: true });
}

function readRecord(path: string): ProcessRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessRecord;
  } catch {
    return undefined;
  }
}

/** Stops processes that are not our children, the highest stage first, as a guard would. */
export async function stopProcesses(processes: RecordedProcess[]): Promise<void> {
  const stages = [...new Set(processes.map(({ stage }) => stage))].sort((a, b) => b - a);
  for (const stage of stages)
    await Promise.all(processes.filter((each) => each.stage === stage).map(stopProcess));
}

async function stopProcess(recorded: RecordedProcess): Promise<void> {
  signal(recorded, recorded.stopSignal);
  if (await hasEnded(recorded, recorded.graceMs)) return;
  signal(recorded, "SIGKILL");
  await hasEnded(recorded, GUARD_PATIENCE_MS);
}

function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch {
    // It ended in between.
  }
}
