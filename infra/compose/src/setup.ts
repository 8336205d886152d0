import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chown, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { withNewKey } from "@emporium/database";
import {
  Authority,
  clientKeyFile,
  issuerSettings,
  natsUsers,
  readSecrets,
  realBaskets,
  signingKeysFile,
} from "@emporium/local";
import { newId } from "@emporium/runtime";

/**
 * Makes what nobody may find in a repository, before anything else starts. What it has to keep, it
 * keeps in a volume of its own; each container has another, with what is its own, that its user alone
 * can read. It runs as root, since it gives files away. With `--keep-fresh` it stays, and replaces the
 * services' certificates long before they expire; services take new ones while they run.
 */
const SECRETS = "/secrets";

/** Whom the containers run as: see their images. */
const NODE = 1000;
const POSTGRES = 999;
const ENVOY = 101;

const HOUR_MS = 60 * 60_000;
/** Of those who look at their files again. */
const SHORT_MS = 24 * HOUR_MS;
/** Of Postgres, NATS and Envoy, which read theirs when they start. */
const LONG_MS = 90 * 24 * HOUR_MS;

const { values } = parseArgs({ options: { "keep-fresh": { type: "boolean", default: false } } });
const services = ["inventory", "orders", "checkout"];
const authority = await Authority.open(join(SECRETS, "setup/authority"));

if (values["keep-fresh"]) {
  process.once("SIGTERM", () => process.exit());
  for (;;) {
    await delay(SHORT_MS / 4);
    await certify();
  }
}
await certify();
await certificate("postgres", POSTGRES, LONG_MS);
await certificate("nats", NODE, LONG_MS);
await certificate("gateway", ENVOY, LONG_MS);
for (const program of ["gateway", "load-test"])
  await give(
    program,
    "contract.binpb",
    await readFile("contract.binpb"),
    program === "gateway" ? ENVOY : NODE,
  );
const baskets = await kept("baskets.json", async () => JSON.stringify(await realBaskets()));
await give("load-test", "baskets.json", baskets, NODE);
await give("postgres", "postgres.password", await kept("postgres.password", word), POSTGRES);
for (const service of ["orders", "checkout"]) {
  const keys = await kept(`${service}-data-keys.json`, () =>
    JSON.stringify(withNewKey(newId("key"))),
  );
  await give(service, "data-keys.json", keys, NODE);
}
// Services are told no EVENT_PREFIX, and this is what they use then.
await give("nats", "users.conf", `users: ${natsUsers("emporium")}\n`, NODE);
await knownToIssuer();
await chown("/data/nats", NODE, NODE);

/** New certificates for services, for the roles that own their tables, and for programs. */
async function certify(): Promise<void> {
  const owners = services.map((service) => `${service}-owner`);
  for (const name of [...services, ...owners, "issuer", "delivery", "load-test"])
    await certificate(name, NODE, SHORT_MS);
}

/** The issuer's keys, and what everybody proves himself with to it. */
async function knownToIssuer(): Promise<void> {
  const folder = join(SECRETS, "setup/issuer");
  const settings = await issuerSettings(folder, {
    issuer: "https://issuer:8444",
    host: "0.0.0.0",
    port: 8444,
    certFile: "/run/emporium/tls.crt",
    keyFile: "/run/emporium/tls.key",
    keysFile: "/run/emporium/signing-keys.json",
  });
  await give("issuer", "settings.json", JSON.stringify(settings), NODE);
  await give("issuer", "signing-keys.json", await readFile(signingKeysFile(folder)), NODE);
  for (const service of ["orders", "checkout"] as const)
    await give(service, "oidc.key", await readFile(clientKeyFile(folder, service)), NODE);
  const { clientSecrets } = await readSecrets(folder);
  for (const program of ["delivery", "load-test"] as const) {
    const own = { clientSecrets: { [program]: clientSecrets[program] } };
    await give(program, "secrets.json", JSON.stringify(own), NODE);
  }
}

async function certificate(name: string, owner: number, lifeMs: number): Promise<void> {
  const { certificate, privateKey } = await authority.issue(name, lifeMs);
  await give(name, "ca.crt", authority.certificate, owner);
  // Whoever reads between the two sees that they do not fit, and looks again.
  await give(name, "tls.key", privateKey, owner);
  await give(name, "tls.crt", certificate, owner);
}

function word(): string {
  return randomBytes(24).toString("base64url");
}

/** What was made under this name the first time. */
async function kept(name: string, make: () => string | Promise<string>): Promise<string> {
  const file = join(SECRETS, "setup", name);
  if (!existsSync(file)) await put(file, await make(), 0);
  return readFile(file, "utf8");
}

async function give(
  volume: string,
  name: string,
  content: string | Buffer,
  owner: number,
): Promise<void> {
  await put(join(SECRETS, volume, name), content, owner);
}

/** Writes a file that is whole at any moment. */
async function put(file: string, content: string | Buffer, owner: number): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 });
  await chown(`${file}.new`, owner, owner);
  await rename(`${file}.new`, file);
}
