import { expect, test } from "vitest";
import { z } from "zod";
import { ConfigurationError, readEnvironment } from "./environment.js";

const schema = z.object({
  DATABASE_URL: z.url("expected a postgresql:// URL"),
  PORT: z.coerce.number().int("expected a port number").default(1),
});

test("a missing variable is named with what is expected", () => {
  expect(() => readEnvironment(schema, {})).toThrow(
    new ConfigurationError("DATABASE_URL is not set: expected a postgresql:// URL"),
  );
});

test("every wrong variable gets its line", () => {
  const read = () => readEnvironment(schema, { DATABASE_URL: "nowhere", PORT: "1.5" });
  expect(read).toThrow(/^DATABASE_URL is wrong: .*\nPORT is wrong: expected a port number$/);
});

test("what is right is read", () => {
  expect(readEnvironment(schema, { DATABASE_URL: "postgresql://x" })).toEqual({
    DATABASE_URL: "postgresql://x",
    PORT: 1,
  });
});
