import { access, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Makes an empty folder under `parent` that bears this process's id, and removes those that killed
 * processes left there.
 */
export async function temporaryDirectory(parent: string, prefix = "tmp"): Promise<string> {
  await mkdir(parent, { recursive: true });
  await removeAbandoned(parent, `${prefix}-`);
  return mkdtemp(join(parent, `${prefix}-${process.pid}-`));
}

/**
 * Makes a folder at `place` unless there is one. `make` fills a temporary folder beside it, which is
 * then moved: a half-made folder is never found under its name. Several processes may do it at once;
 * the first that is done wins.
 */
export async function makeOnce(
  place: string,
  make: (temporary: string) => Promise<void>,
): Promise<void> {
  if (await exists(place)) return;
  const temporary = await temporaryDirectory(dirname(place));
  try {
    await make(temporary);
    await rename(temporary, place).catch(async (error: unknown) => {
      if (!(await exists(place))) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Whether there is a file or folder of this path. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function removeAbandoned(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : 0;
    if (!(pid > 0) || isRunning(pid)) continue;
    // Another process may be removing it too, or it may not be ours to remove.
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
