import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import type { FileTlsSource } from "@emporium/grpc";
import { Certificates } from "./certificates/certificates.js";
import { bootInfrastructure, type Infrastructure } from "./infrastructure.js";
import { Databases } from "./postgres/databases.js";

/** What `globalSetup` tells every test file. */
export interface SharedInfrastructure {
  postgresPort: number;
  postgresPassword: string;
  natsUrl: string;
  certificatesFolder: string;
}

declare module "vitest" {
  interface ProvidedContext {
    emporium: SharedInfrastructure;
  }
}

/** The Postgres and NATS that a test may use with all others of its run. */
export interface TestInfrastructure {
  readonly natsUrl: string;
  readonly databases: Databases;
  readonly certificates: Certificates;
  /** The certificate of a service or program, for a server or client of the test's own. */
  readonly tls: (name: string) => Promise<FileTlsSource>;
  /** Makes an empty database that nobody else uses; returns its address. */
  readonly freshDatabase: (name: string) => Promise<string>;
  /** A prefix of subjects and streams that nobody else uses. */
  readonly freshPrefix: () => string;
}

let own: Promise<Infrastructure> | undefined;

/**
 * Finds the Postgres and NATS of this test run. Where the run has no `globalSetup`, boots some for
 * this test file; they end with its process. Databases and streams are thrown away with the run, so
 * a test cleans up nothing but its connections.
 *
 * @example
 * const { freshDatabase, freshPrefix, natsUrl } = await testInfrastructure();
 * const url = await freshDatabase("orders");
 */
export async function testInfrastructure(): Promise<TestInfrastructure> {
  const shared = inject("emporium") as SharedInfrastructure | undefined;
  if (shared)
    return handOut(
      new Databases(shared.postgresPort, shared.postgresPassword),
      shared.natsUrl,
      await Certificates.open(shared.certificatesFolder),
    );
  own ??= bootInfrastructure({ durable: false });
  const { postgres, nats, certificates } = await own;
  return handOut(postgres.databases, nats.url, certificates);
}

function handOut(
  databases: Databases,
  natsUrl: string,
  certificates: Certificates,
): TestInfrastructure {
  const unique = (name: string) => `${name}_${randomBytes(6).toString("hex")}`;
  return {
    natsUrl,
    databases,
    certificates,
    tls: (name) => certificates.sourceOf(name),
    freshDatabase: (name) => databases.create(unique(name)),
    freshPrefix: () => unique("test").replace("_", "-"),
  };
}
