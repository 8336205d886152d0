import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests run the sources: packages export them under this condition, beside what is built.
  resolve: { conditions: ["@emporium/source"] },
  ssr: { resolve: { conditions: ["@emporium/source"], externalConditions: ["@emporium/source"] } },
  test: {
    include: ["**/*.test.ts"],
    // Below .emporium an engine may keep the file systems of its containers.
    exclude: ["**/node_modules/**", "**/dist/**", "**/.nx/**", "**/.emporium/**"],
    setupFiles: ["reflect-metadata"],
    // One Postgres and one NATS for the whole run.
    globalSetup: ["infra/local/src/test-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // CI machines are shared: a test that fails is looked at again, and reported as flaky.
    retry: process.env["CI"] ? 2 : 0,
  },
});
