import { join } from "node:path";
import { defineConfig } from "vitest/config";

const root = join(import.meta.dirname, "../..");

/** `npm run test:k8s`: builds a control plane where there is none yet, and tests against it. */
export default defineConfig({
  resolve: { conditions: ["@emporium/source"] },
  ssr: { resolve: { conditions: ["@emporium/source"], externalConditions: ["@emporium/source"] } },
  test: {
    root,
    include: ["tests/k8s-api-server.test.ts"],
    globalSetup: ["tests/k8s/programs.ts"],
    reporters: ["verbose"],
  },
});
