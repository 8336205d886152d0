import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Makes what nobody may find in a repository, before anything else starts. What it makes, it keeps in
 * a volume of its own; each container has another, with copies of what is its own, that its user
 * alone can read. It runs as root, since it gives them away.
 */
const SECRETS = "/secrets";

/** Whom the containers run as: see their images. */
const NODE = 1000;
const POSTGRES = 999;

for (const service of ["inventory", "orders", "checkout"]) {
  await account(service, service);
  await account(`${service}-migrations`, service, `${service}_owner`);
}
await give("postgres", "postgres.password", await kept("postgres.password", word), POSTGRES);
await chown("/data/nats", NODE, NODE);

/** A role's password, for Postgres and for whoever connects as it. */
async function account(volume: string, database: string, role = database): Promise<void> {
  const password = await kept(`${role}.password`, word);
  await give("postgres", `${role}.password`, password, POSTGRES);
  // Where libpq and node-postgres look for it (PGPASSFILE).
  await give(volume, "pgpass", `postgres:5432:${database}:${role}:${password}\n`, NODE);
}

function word(): string {
  return randomBytes(24).toString("base64url");
}

/** What was made under this name the first time. */
async function kept(name: string, make: () => string): Promise<string> {
  const file = join(SECRETS, "setup", name);
  if (!existsSync(file)) await put(file, make(), 0);
  return readFile(file, "utf8");
}

async function give(volume: string, name: string, content: string, owner: number): Promise<void> {
  await put(join(SECRETS, volume, name), content, owner);
}

/** Writes a file that is whole at any moment. */
async function put(file: string, content: string, owner: number): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 });
  await chown(`${file}.new`, owner, owner);
  await rename(`${file}.new`, file);
}
