import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

/** How often it is looked whether npm is still there, in milliseconds. */
const NPM_INTERVAL_MS = 1000;

/** What npm may put between itself and us. */
const SHELLS = new Set(["sh", "bash", "dash", "zsh", "ash", "busybox"]);

/**
 * Resolves when the user wants an end: Ctrl-C, SIGTERM, a closed terminal, or npm, which started us,
 * was killed. Several of them count as one: npm passes on the Ctrl-C that we also get.
 */
export function askedToStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => resolve());
  if (process.env.npm_lifecycle_event && process.platform !== "win32") {
    const line = lineToNpm().join();
    setInterval(() => lineToNpm().join() !== line && resolve(), NPM_INTERVAL_MS).unref();
  }
  return promise;
}

/** Process ids from our parent up to npm: there may be a shell in between. */
function lineToNpm(): number[] {
  const line = [process.ppid];
  for (let pid = process.ppid; ;) {
    const { name, parent } = lookUp(pid);
    if (!SHELLS.has(name) || !parent) return line;
    line.push((pid = parent));
  }
}

function lookUp(pid: number): { name: string; parent: number } {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [, name = "", parent] = /\((.*)\) \S (\d+)/s.exec(stat) ?? [];
      return { name, parent: Number(parent) };
    }
    const line = execFileSync("ps", ["-o", "ppid=,comm=", "-p", String(pid)], { encoding: "utf8" });
    const [, parent, name = ""] = /(\d+) (.*)/.exec(line) ?? [];
    return { name: basename(name), parent: Number(parent) };
  } catch {
    return { name: "", parent: 0 };
  }
}
