import { defineConfig } from "vitest/config";

/** `npm run test:compose`: what takes a container engine, one test after the other. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["test/**/*.engine.ts"],
    testTimeout: 300_000,
    hookTimeout: 900_000,
    reporters: ["verbose"],
  },
});
