import { defineConfig } from "vitest/config";
export default defineConfig({
  root: "/work/main/packages/codec",
  resolve: { conditions: ["@emporium/source"] },
  ssr: { resolve: { conditions: ["@emporium/source"], externalConditions: ["@emporium/source"] } },
  test: { testTimeout: 60000, include: ["**/*.test.ts"] },
});
