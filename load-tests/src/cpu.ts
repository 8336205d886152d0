import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Ticks a second in which Linux counts CPU time; `getconf CLK_TCK`, 100 on every common system. */
const TICKS = 100;

/** Milliseconds between two looks. */
const PERIOD_MS = 1_000;

/** Processes by their names; each counts with its descendants, and 0 is none. */
export type Processes = Record<string, number>;

/** CPU seconds of processes over time, until it is disposed of. */
export interface CpuLog extends Disposable {
  /** What each has used since that moment (milliseconds since the epoch), those that began later too. */
  since(moment: number): Record<string, number>;
}

/** Looks at processes again and again; they may end, and begin under another id. */
export function logCpu(processes: () => Processes): CpuLog {
  const looks: { at: number; used: Record<string, number> }[] = [];
  const look = () => looks.push({ at: Date.now(), used: cpuSeconds(processes()) });
  look();
  const timer = setInterval(look, PERIOD_MS);
  return {
    since(moment) {
      look();
      const total: Record<string, number> = {};
      for (const [index, { at, used }] of looks.entries()) {
        if (at <= moment) continue;
        const before = looks[index - 1]?.used ?? {};
        for (const [name, now] of Object.entries(used)) {
          const grown = now - (before[name] ?? 0);
          total[name] = (total[name] ?? 0) + (grown < 0 ? now : grown);
        }
      }
      return total;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function cpuSeconds(processes: Processes): Record<string, number> {
  const children = childrenOf();
  const ticks = (id: number): number =>
    ticksOf(id) + (children.get(id) ?? []).reduce((sum, child) => sum + ticks(child), 0);
  return Object.fromEntries(
    Object.entries(processes).map(([name, id]) => [name, id ? ticks(id) / TICKS : 0]),
  );
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
