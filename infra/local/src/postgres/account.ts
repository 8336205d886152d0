import { readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** A user of this system. */
export interface Account {
  uid: number;
  gid: number;
}

/** A folder that every user can reach and that outlives a restart of the machine. */
const PUBLIC_FOLDER = "/var/tmp";

/**
 * The user that Postgres runs as. It refuses to run as root, so root lends it to `postgres` or
 * `nobody`; `undefined` means this process's own user.
 */
export function postgresAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const wanted of ["postgres", "nobody"]) {
    const [name, , uid, gid] =
      lines.find((line) => line.startsWith(`${wanted}:`))?.split(":") ?? [];
    if (name) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("Postgres does not run as root, and there is no user postgres or nobody");
}

/**
 * Tells where to put a folder that the account must reach: at `wanted`, or, where a folder above it
 * is closed to others (root's home), in a place of its own that `<wanted>.place` remembers.
 */
export async function reachablePlace(wanted: string, account?: Account): Promise<string> {
  if (await isReachable(wanted, account)) return wanted;
  const note = `${wanted}.place`;
  const known = await readFile(note, "utf8").catch(() => undefined);
  if (known && (await stat(known).catch(() => undefined))) return join(known, "files");
  const place = await mkdtemp(join(PUBLIC_FOLDER, "emporium-"));
  await chmod(place, 0o711);
  await writeFile(note, place);
  return join(place, "files");
}

/** The folder for temporary files that the account can reach. */
export async function temporaryFolder(account?: Account): Promise<string> {
  return (await isReachable(join(tmpdir(), "any"), account)) ? tmpdir() : PUBLIC_FOLDER;
}

/** Whether the account may pass through every folder above a path. */
export async function isReachable(path: string, account?: Account): Promise<boolean> {
  if (!account) return true;
  for (let folder = dirname(resolve(path)); folder !== dirname(folder); folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found && (found.mode & 0o001) === 0) return false;
  }
  return true;
}
