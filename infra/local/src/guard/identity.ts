import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** One process among all that ever bear its id: ids are used again, the time of birth tells. */
export interface ProcessIdentity {
  pid: number;
  /** When it began, in whatever way the system puts it. */
  start: string;
}

/**
 * Tells who bears a process id now; `undefined` where nobody does, or a process that has ended and
 * is only waiting to be collected.
 */
export function identify(pid: number): ProcessIdentity | undefined {
  const start = process.platform === "linux" ? startOnLinux(pid) : startElsewhere(pid);
  return start ? { pid, start } : undefined;
}

/** proc_pid_stat(5): field 3 is the state, field 22 the start in ticks since boot. */
function startOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the name in parentheses, which may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function startElsewhere(pid: number): string | undefined {
  const [program, programArguments] =
    process.platform === "win32"
      ? ["powershell", ["-NoProfile", "-Command", `(Get-Process -Id ${pid}).StartTime.Ticks`]]
      : ["ps", ["-o", "lstart=", "-p", String(pid)]];
  try {
    const output = execFileSync(program, programArguments, { stdio: ["ignore", "pipe", "ignore"] });
    return output.toString().trim();
  } catch {
    return undefined;
  }
}

/** Whether a process that was identified before still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.start === identity.start;
}

/**
 * Waits for the end of a process that is not our child, where the system tells nobody; true when it
 * has ended within the time.
 */
export async function hasEnded(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (isAlive(identity)) {
    if (Date.now() >= deadline) return false;
    await delay(25);
  }
  return true;
}
