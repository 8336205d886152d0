import { join } from "node:path";
import { defineConfig } from "vitest/config";

const root = join(import.meta.dirname, "../../..");

/** `npm run test:k8s:node`: the whole shop on one real node, as root on Debian. */
export default defineConfig({
  resolve: { conditions: ["@emporium/source"] },
  ssr: { resolve: { conditions: ["@emporium/source"], externalConditions: ["@emporium/source"] } },
  test: {
    root,
    include: ["tests/k8s/node/shop.node.ts"],
    globalSetup: ["tests/k8s/programs.ts", "tests/k8s/node/programs.ts"],
    testTimeout: 1_800_000,
    reporters: ["verbose"],
  },
});
