import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Ticks a second in which Linux counts CPU time; `getconf CLK_TCK`, 100 on every common system. */
const TICKS = 100;

/** CPU seconds that a process and its descendants have used so far; 0 where nobody tells. */
export function cpuSeconds(pid: number): number {
  const children = childrenOf();
  const used = (id: number): number =>
    ticksOf(id) + (children.get(id) ?? []).reduce((sum, child) => sum + used(child), 0);
  return used(pid) / TICKS;
}

/** proc_pid_stat(5): fields 14 and 15, and 16 and 17 for children that have ended. */
function ticksOf(pid: number): number {
  const fields = statOf(pid);
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0);
}

function childrenOf(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  if (process.platform !== "linux") return children;
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!pid) continue;
    const parent = Number(statOf(pid)[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

/** The fields after the name, which may itself hold spaces; the state is the first. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

/** Keeps processes on one core, all of their threads; false where this machine cannot. */
export function pin(pids: number[], core: number): boolean {
  try {
    for (const pid of pids)
      execFileSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
