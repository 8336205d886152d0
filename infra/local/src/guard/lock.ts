import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { identify, isAlive, type ProcessIdentity } from "./identity.js";

/**
 * Takes a lock file for this process. It holds as long as the process lives, however that ends;
 * dispose of it to give it back earlier. Throws `LockedError` where another process has it.
 *
 * @example
 * using lock = takeLock(join(directory, "lock"));
 */
export function takeLock(path: string): Disposable {
  const offered = `${path}.${process.pid}`;
  // A link appears under its name whole or not at all; a file would be there before its content.
  writeFileSync(offered, JSON.stringify(identify(process.pid)));
  try {
    while (!isLinked(offered, path)) removeStale(path);
  } finally {
    rmSync(offered, { force: true });
  }
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

function isLinked(file: string, path: string): boolean {
  try {
    linkSync(file, path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Another process holds the lock. */
export class LockedError extends Error {
  override readonly name = "LockedError";

  /** The process that holds it. */
  readonly pid: number;

  constructor(path: string, pid: number) {
    super(`Process ${pid} holds ${path}`);
    this.pid = pid;
  }
}

function removeStale(path: string): void {
  const holder = holderOf(path);
  if (holder && isAlive(holder)) throw new LockedError(path, holder.pid);
  // Two processes may find the same stale lock: each moves away what it finds and looks again, so
  // that a lock which the other has just taken is put back.
  const moved = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, moved);
    const found = holderOf(moved);
    if (found && isAlive(found)) linkSync(moved, path);
  } catch {
    // The other was quicker; the next round tells.
  }
  rmSync(moved, { force: true });
}

function holderOf(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
