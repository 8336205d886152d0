import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Person, Program } from "./issuer-settings.ts";

const CUSTOMER = [
  "catalogue.read",
  "checkout.read",
  "checkout.write",
  "orders.read",
  "orders.write",
];
const SUPPORT = [...CUSTOMER, "quotes.write", "support"];
const ADMIN = [...SUPPORT, "catalogue.write", "stock.write"];

/** Every scope that somebody may have. */
export const everyScope = ADMIN;

/** Who can log in. The customers are two of the real data's. */
const people = {
  ada: { subject: "17850", scopes: CUSTOMER },
  grace: { subject: "13047", scopes: CUSTOMER },
  support: { subject: "support", scopes: SUPPORT },
  admin: { subject: "admin", scopes: ADMIN },
};

/** Programs that show a secret (client_credentials), and what they may ask for. */
const programsWithSecret = {
  "load-test": [...SUPPORT, "stock.write"],
  replay: [...SUPPORT, "stock.write"],
  /** Fills the shelves of a new shop. */
  delivery: ["stock.write"],
  /** Holds the books against each other. */
  audit: ["catalogue.read", "orders.read", "support"],
};

/** Programs that sign with a key (private_key_jwt): the services, with what their own work takes. */
const programsWithKey = {
  inventory: [],
  orders: ["catalogue.read"],
  checkout: ["catalogue.read", "checkout.write", "orders.write"],
  gateway: ADMIN,
};

export type PersonName = keyof typeof people;
export type ProgramWithSecret = keyof typeof programsWithSecret;
export type ProgramWithKey = keyof typeof programsWithKey;

/** The words that people and programs prove themselves by; made once, and kept. */
export interface Secrets {
  passwords: Record<PersonName, string>;
  clientSecrets: Record<ProgramWithSecret, string>;
  cookieKey: string;
}

const secretsFile = (folder: string) => join(folder, "secrets.json");

/** File with the private key of a program in an issuer's folder. */
export function clientKeyFile(folder: string, name: ProgramWithKey): string {
  return join(folder, "client-keys", `${name}.pem`);
}

/** The secrets that are kept in an issuer's folder. */
export async function readSecrets(folder: string): Promise<Secrets> {
  return JSON.parse(await readFile(secretsFile(folder), "utf8")) as Secrets;
}

/** Makes what is not there yet; only the owner of the folder can read it. */
export async function makeSecrets(folder: string): Promise<Secrets> {
  await mkdir(join(folder, "client-keys"), { recursive: true, mode: 0o700 });
  for (const name of Object.keys(programsWithKey) as ProgramWithKey[]) {
    const file = clientKeyFile(folder, name);
    if (existsSync(file)) continue;
    const { privateKey } = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
      publicKeyEncoding: { type: "spki", format: "pem" },
    });
    await writeSecret(file, privateKey);
  }
  if (!existsSync(secretsFile(folder))) {
    const made: Secrets = {
      passwords: randomFor(people),
      clientSecrets: randomFor(programsWithSecret),
      cookieKey: randomWord(),
    };
    await writeSecret(secretsFile(folder), JSON.stringify(made, null, 2));
  }
  return readSecrets(folder);
}

/** Writes a file that is whole at any moment, and that nobody else reads. */
export async function writeSecret(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** What a program may ask for. */
export function scopesOf(name: ProgramWithKey | ProgramWithSecret): string[] {
  return isProgramWithSecret(name) ? programsWithSecret[name] : programsWithKey[name];
}

export function isPerson(name: string): name is PersonName {
  return Object.hasOwn(people, name);
}

export function isProgramWithSecret(name: string): name is ProgramWithSecret {
  return Object.hasOwn(programsWithSecret, name);
}

/** The people, with their passwords. */
export function peopleWith({ passwords }: Secrets): Person[] {
  return (Object.keys(people) as PersonName[]).map((name) => ({
    name,
    password: passwords[name],
    ...people[name],
  }));
}

/** The programs, as the issuer is to know them. */
export async function programsWith({ clientSecrets }: Secrets, folder: string): Promise<Program[]> {
  const withKey = Object.entries(programsWithKey).map(async ([name, scopes]) => {
    const pem = await readFile(clientKeyFile(folder, name as ProgramWithKey));
    const jwk = createPublicKey(pem).export({ format: "jwk" });
    return {
      ...itself(name, scopes),
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256",
      jwks: { keys: [{ ...jwk, use: "sig" }] },
    };
  });
  const withSecret = Object.entries(programsWithSecret).map(([name, scopes]) => ({
    ...itself(name, scopes),
    token_endpoint_auth_method: "client_secret_basic",
    client_secret: clientSecrets[name as ProgramWithSecret],
  }));
  return [...(await Promise.all(withKey)), ...withSecret, browserClient];
}

function itself(client_id: string, scopes: string[]): Program {
  const scope = scopes.length > 0 && { scope: scopes.join(" ") };
  const grant_types = ["client_credentials"];
  return { client_id, grant_types, redirect_uris: [], response_types: [], ...scope };
}

/** The web page and the command line, for people: code and PKCE on any port of this machine. */
const browserClient: Program = {
  client_id: "console",
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code"],
  response_types: ["code"],
  redirect_uris: ["http://127.0.0.1/callback"],
  scope: ["openid", ...ADMIN].join(" "),
};

function randomFor<Names extends object>(names: Names): Record<keyof Names, string> {
  const words = Object.keys(names).map((name) => [name, randomWord()]);
  return Object.fromEntries(words) as Record<keyof Names, string>;
}

function randomWord(): string {
  return randomBytes(24).toString("base64url");
}
