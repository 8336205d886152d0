import { execFile } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** Where Debian puts it, which keeps all but a chooser of versions off the PATH. */
const DEBIAN = "/usr/lib/postgresql/*/bin/pgbench";

/** The program, or `undefined` where Postgres' own tools are not installed. */
export function findPgbench(): string | undefined {
  const debian = globSync(DEBIAN).toSorted().reverse();
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "pgbench"));
  return [...debian, ...onPath].find((file) => existsSync(file));
}

/** Transactions a second of a script, without any Node. */
export async function pgbench(
  program: string,
  databaseUrl: string,
  run: { script: string; clients: number; seconds: number },
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "pgbench-"));
  try {
    const script = join(folder, "script.sql");
    await writeFile(script, run.script);
    const { username, password, hostname, port, pathname } = new URL(databaseUrl);
    const connection = ["-h", hostname, "-p", port, "-U", username];
    const load = ["-c", String(run.clients), "-j", "1", "-T", String(Math.ceil(run.seconds))];
    const { stdout } = await promisify(execFile)(
      program,
      ["-n", "-M", "prepared", "-f", script, ...load, ...connection, pathname.slice(1)],
      { env: { ...process.env, PGPASSWORD: decodeURIComponent(password) } },
    );
    const [, rate] = /^tps = ([\d.]+)/m.exec(stdout) ?? [];
    if (rate === undefined) throw new Error(`pgbench said no rate: ${stdout}`);
    return Number(rate);
  } finally {
    await rm(folder, { recursive: true });
  }
}
