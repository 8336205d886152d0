import type { TestProject } from "vitest/node";
import { bootInfrastructure } from "./infrastructure.js";
import type { SharedInfrastructure } from "./test-infrastructure.js";

/**
 * Vitest's `globalSetup`: one Postgres, one NATS and one issuer for the whole run. Test files
 * find them by `testInfrastructure()` of `@emporium/local/test`.
 *
 * @example
 * // vitest.config.ts
 * test: { globalSetup: ["infra/local/src/test-setup.ts"] }
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const infrastructure = await bootInfrastructure({ durable: false, eventPrefix: "*" });
  const { databases } = infrastructure.postgres;
  const shared: SharedInfrastructure = {
    postgresPort: databases.port,
    postgresPassword: databases.password,
    postgresCaFile: databases.caFile,
    natsUrl: infrastructure.nats.url,
    certificatesFolder: infrastructure.certificates.folder,
    issuer: { url: infrastructure.issuer.url, folder: infrastructure.issuer.folder },
  };
  project.provide("emporium", shared);
  return async () => {
    await infrastructure[Symbol.asyncDispose]();
  };
}
