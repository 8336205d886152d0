import type { TestProject } from "vitest/node";
import { bootInfrastructure } from "./infrastructure.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the Postgres and NATS of this test run are. */
    emporium: { postgresPort: number; postgresPassword: string; natsUrl: string };
  }
}

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
  project.provide("emporium", {
    postgresPort: databases.port,
    postgresPassword: databases.password,
    natsUrl: infrastructure.nats.url,
  });
  return async () => {
    await infrastructure[Symbol.asyncDispose]();
  };
}
