import { randomBytes } from "node:crypto";
import { chownSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { chmod, chown, lchown, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TlsFiles } from "@emporium/grpc";
import type { Guard } from "../guard/guard.js";
import { endedTooEarly } from "../guard/guarded-process.js";
import { stateDirectory } from "../project.js";
import { makeOnce } from "../temporary.js";
import { type Account, reachablePlace } from "./account.js";
import type { Binaries } from "./binaries.js";

/** A database cluster on disk. */
export interface Cluster {
  /** The data directory. */
  data: string;
  /** Of the superuser `postgres`. */
  password: string;
}

/** What a cluster is made with. */
export interface ClusterTools {
  binaries: Binaries;
  guard: Guard;
  account?: Account | undefined;
  /** Whether it must outlive a power cut. */
  durable: boolean;
}

/**
 * Makes a cluster in `folder` unless there is one. `initdb` runs once for each version of Postgres;
 * its result is kept and copied, which takes a fifth of the time.
 */
export async function openCluster(folder: string, tools: ClusterTools): Promise<Cluster> {
  await makeOnce(folder, async (temporary) => {
    const kept = join(stateDirectory, `postgres-template-${tools.binaries.version}`);
    const template = await reachablePlace(kept, tools.account);
    await makeOnce(template, (place) => initialize(place, tools));
    // Ten times as fast as the asynchronous one, and nothing else is waiting.
    cpSync(template, temporary, { recursive: true });
    await chmod(join(temporary, "data"), 0o700);
    await giveTo(tools.account, temporary);
    if (tools.durable)
      await runInitdb(tools, ["--sync-only", `--pgdata=${join(temporary, "data")}`]);
  });
  const password = await readFile(join(folder, "password"), "utf8");
  return { data: join(folder, "data"), password };
}

/** Takes nobody in but by password and TLS, with this certificate. */
export function secure(data: string, files: TlsFiles, account?: Account): void {
  const contents = {
    "pg_hba.conf": "hostssl all all 127.0.0.1/32 scram-sha-256\n",
    "server.crt": readFileSync(files.certFile),
    "server.key": readFileSync(files.keyFile),
  };
  for (const [name, content] of Object.entries(contents)) {
    const path = join(data, name);
    writeFileSync(path, content, { mode: 0o600 });
    if (account) chownSync(path, account.uid, account.gid);
  }
}

async function initialize(folder: string, tools: ClusterTools): Promise<void> {
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, randomBytes(24).toString("base64url"), { mode: 0o600 });
  await giveTo(tools.account, folder);
  await runInitdb(tools, [
    `--pgdata=${join(folder, "data")}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // The built-in provider sorts alike on every system; libc's locales differ or are missing.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
  ]);
}

async function runInitdb(tools: ClusterTools, programArguments: string[]): Promise<void> {
  const initdb = tools.guard.spawn({
    name: "initdb",
    program: tools.binaries.initdb,
    programArguments,
    environment: { ...process.env, LC_ALL: "C" },
    user: tools.account,
    stopSignal: "SIGTERM",
    graceMs: 2000,
    stage: 0,
  });
  const ending = await initdb.ended;
  if (ending.code !== 0) throw endedTooEarly(initdb.name, ending);
}

async function giveTo(account: Account | undefined, folder: string): Promise<void> {
  if (!account) return;
  await chown(folder, account.uid, account.gid);
  const entries = await readdir(folder, { recursive: true });
  await Promise.all(entries.map((entry) => lchown(join(folder, entry), account.uid, account.gid)));
}
