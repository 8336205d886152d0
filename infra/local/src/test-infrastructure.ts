import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import type { FileTlsSource, Interceptor } from "@emporium/grpc";
import { Certificates } from "./certificates/certificates.js";
import { bootInfrastructure, type Infrastructure } from "./infrastructure.js";
import { clientKeyFile, type ProgramWithKey } from "./issuer/accounts.js";
import { AUDIENCE } from "./issuer/issuer.js";
import type { IssuerPlace } from "./issuer/login.js";
import { type Principal, Tokens } from "./issuer/tokens.js";
import { Databases } from "./postgres/databases.js";

/** What `globalSetup` tells every test file. */
export interface SharedInfrastructure {
  postgresPort: number;
  postgresPassword: string;
  postgresCaFile: string;
  natsUrl: string;
  certificatesFolder: string;
  issuer: IssuerPlace;
}

declare module "vitest" {
  interface ProvidedContext {
    emporium: SharedInfrastructure;
  }
}

/** The Postgres, NATS and issuer that a test may use with all others of its run. */
export interface TestInfrastructure {
  readonly natsUrl: string;
  readonly databases: Databases;
  readonly certificates: Certificates;
  /** The certificate of a service or program, for a server or client of the test's own. */
  readonly tls: (name: string) => Promise<FileTlsSource>;
  readonly issuer: IssuerPlace;
  /** What a service of the test's own is told of the issuer. */
  readonly oidc: (name: ProgramWithKey) => { issuer: string; audience: string; keyFile: string };
  /** Puts somebody's token on every call of a client. */
  readonly by: (principal: Principal) => Interceptor;
  /** Makes an empty database that nobody else uses; returns its address. */
  readonly freshDatabase: (name: string) => Promise<string>;
  /** A prefix of subjects and streams that nobody else uses. */
  readonly freshPrefix: () => string;
}

let own: Promise<Infrastructure> | undefined;

/**
 * Finds the Postgres, NATS and issuer of this test run. Where the run has no `globalSetup`, boots some for
 * this test file; they end with its process. Databases and streams are thrown away with the run, so
 * a test cleans up nothing but its connections.
 *
 * @example
 * const { freshDatabase, freshPrefix, natsUrl } = await testInfrastructure();
 * const url = await freshDatabase("orders");
 */
export async function testInfrastructure(): Promise<TestInfrastructure> {
  const shared = inject("emporium") as SharedInfrastructure | undefined;
  if (shared) {
    const certificates = await Certificates.open(shared.certificatesFolder);
    certificates.trustHere();
    const { postgresPort, postgresPassword, postgresCaFile, natsUrl, issuer } = shared;
    const databases = new Databases(postgresPort, postgresPassword, postgresCaFile);
    return handOut({ databases, certificates, natsUrl, issuer });
  }
  own ??= bootInfrastructure({ durable: false, eventPrefix: "*" });
  const { postgres, nats, certificates, issuer } = await own;
  const { databases } = postgres;
  return handOut({ databases, natsUrl: nats.url, certificates, issuer });
}

function handOut(
  found: Pick<TestInfrastructure, "databases" | "natsUrl" | "certificates" | "issuer">,
): TestInfrastructure {
  const { databases, certificates, issuer } = found;
  const tokens = new Tokens(issuer);
  const unique = (name: string) => `${name}_${randomBytes(6).toString("hex")}`;
  return {
    ...found,
    tls: (name) => certificates.sourceOf(name),
    oidc: (name) => ({
      issuer: issuer.url,
      audience: AUDIENCE,
      keyFile: clientKeyFile(issuer.folder, name),
    }),
    by: (principal) => tokens.of(principal),
    freshDatabase: (name) => databases.create(unique(name)),
    freshPrefix: () => unique("test").replace("_", "-"),
  };
}

export { clientKeyFile } from "./issuer/accounts.js";
export { type FreshIssuer, freshIssuer } from "./issuer/fresh-issuer.js";
export { signingKeysFile } from "./issuer/issuer.js";
export { clientToken, type IssuerPlace, login } from "./issuer/login.js";
export { readKeys } from "./issuer/signing-keys.js";
export { type Principal, Tokens } from "./issuer/tokens.js";
