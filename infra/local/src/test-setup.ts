import type { TestProject } from "vitest/node";
import { bootInfrastructure } from "./infrastructure.js";
import type { SharedInfrastructure } from "./test-infrastructure.js";

/**
 * Vitest's `globalSetup`: one Postgres and one NATS for the whole run, in half a second. Test files
 * find them by `testInfrastructure()` of `@emporium/local/test`.
 *
 * @example
 * // vitest.config.ts
 * test: { globalSetup: ["infra/local/src/test-setup.ts"] }
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const infrastructure = await bootInfrastructure({ durable: false });
  const { databases } = infrastructure.postgres;
  const shared: SharedInfrastructure = {
    postgresPort: databases.port,
    postgresPassword: databases.password,
    natsUrl: infrastructure.nats.url,
    certificatesFolder: infrastructure.certificates.folder,
  };
  project.provide("emporium", shared);
  return async () => {
    await infrastructure[Symbol.asyncDispose]();
  };
}
