import { readdirSync, readFileSync } from "node:fs";

/** What the kernel counts CPU time in; 100 a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time that a process has used so far, in microseconds; NaN where there is no /proc. */
export function cpuMicros(pid: number): number {
  return ((statOf(pid)?.used ?? NaN) / TICKS_PER_SECOND) * 1e6;
}

/**
 * CPU time that a Postgres server has used so far, all of its processes together, in microseconds;
 * NaN where there is no /proc. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
export function postgresCpuMicros(postmaster: number): number {
  const own = statOf(postmaster);
  if (!own) return NaN;
  let ticks = own.used + own.usedByEnded;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = statOf(Number(pid));
    if (stat?.parent === postmaster) ticks += stat.used;
  }
  return (ticks / TICKS_PER_SECOND) * 1e6;
}

function statOf(pid: number) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in parentheses, may hold anything; after it come the fields from the third on.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const at = (field: number) => Number(fields[field - 3]);
    return { parent: at(4), used: at(14) + at(15), usedByEnded: at(16) + at(17) };
  } catch {
    return undefined;
  }
}
