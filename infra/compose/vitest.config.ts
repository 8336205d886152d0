import { defineConfig } from "vitest/config";

/** `npm run test:compose`: what takes a container engine, one test after the other. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["test/**/*.engine.ts"],
    testTimeout: 300_000,
    hookTimeout: 900_000,
    // As in the rest of the tests: a machine that others use as well is asked again.
    retry: process.env["CI"] ? 2 : 0,
    reporters: ["verbose"],
  },
});
