import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Certificates } from "../certificates/certificates.js";
import type { Guard } from "../guard/guard.js";
import { GuardedServer } from "../guard/guarded-server.js";
import { launchOnPort } from "../ports.js";
import { everyScope, makeSecrets, peopleWith, programsWith, writeSecret } from "./accounts.js";
import type { IssuerSettings } from "./issuer-settings.ts";
import { rotateKeys } from "./signing-keys.js";

/** Milliseconds that the issuer has to end. */
const GRACE_MS = 3_000;

/** The line that tells that it takes requests. */
const READY = /The issuer is ready/;

/** Whom its access tokens are for. */
export const AUDIENCE = "emporium";

/** How the issuer is run. */
export interface IssuerOptions {
  guard: Guard;
  /** Of which it takes its own. */
  certificates: Certificates;
  /** A folder for its keys and for everybody's secrets. */
  folder: string;
  /** The port; any free one where absent. */
  port?: number | undefined;
  /** A file for its log. */
  log: string;
}

/** A local OIDC issuer, for development and tests: its passwords lie in a file. */
export class Issuer extends GuardedServer {
  /** Its address, as `iss` in its tokens. */
  readonly url: string;
  readonly folder: string;

  constructor(
    place: { url: string; folder: string },
    ...[running, launch]: ConstructorParameters<typeof GuardedServer>
  ) {
    super(running, launch);
    this.url = place.url;
    this.folder = place.folder;
  }
}

/** File with the signing keys in an issuer's folder. */
export function signingKeysFile(folder: string): string {
  return join(folder, "signing-keys.json");
}

/** Where an issuer listens, and where it finds what is its own. */
export type IssuerListening = Pick<
  IssuerSettings,
  "issuer" | "host" | "port" | "certFile" | "keyFile" | "keysFile"
>;

/**
 * What an issuer is started with. Its signing keys, and the secrets of all whom it knows, are made in
 * the folder where there are none.
 */
export async function issuerSettings(
  folder: string,
  listening: IssuerListening,
): Promise<IssuerSettings> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secrets = await makeSecrets(folder);
  if (!existsSync(signingKeysFile(folder))) await rotateKeys(signingKeysFile(folder));
  return {
    ...listening,
    audience: AUDIENCE,
    scopes: everyScope,
    cookieKey: secrets.cookieKey,
    people: peopleWith(secrets),
    programs: await programsWith(secrets, folder),
  };
}

/** Starts the issuer and waits until it takes requests. Keys and secrets are made where there are none. */
export async function startIssuer(options: IssuerOptions): Promise<Issuer> {
  const { guard, certificates, folder, log, port } = options;
  const { certFile, keyFile } = await certificates.filesOf("issuer");
  const settingsFile = join(folder, "settings.json");
  const launch = async (port: number) => {
    const settings = await issuerSettings(folder, {
      issuer: addressAt(port),
      host: "127.0.0.1",
      port,
      certFile,
      keyFile,
      keysFile: signingKeysFile(folder),
    });
    await writeSecret(settingsFile, JSON.stringify(settings, null, 2));
    const server = guard.spawn({
      name: "issuer",
      program: process.execPath,
      programArguments: [
        join(import.meta.dirname, `main${extname(import.meta.filename)}`),
        settingsFile,
      ],
      stopSignal: "SIGTERM",
      graceMs: GRACE_MS,
      stage: 0,
      log,
      tell: READY.source,
    });
    await server.line(READY);
    return server;
  };
  const started = await launchOnPort(launch, port);
  const place = { url: addressAt(started.port), folder };
  return new Issuer(place, started.running, () => launch(started.port));
}

function addressAt(port: number): string {
  return `https://127.0.0.1:${port}`;
}
