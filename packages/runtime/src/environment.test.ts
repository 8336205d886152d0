import { expect, test } from "vitest";
import { z } from "zod";
import { ConfigurationError, listenAddress, readEnvironment } from "./environment.js";

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

test.each(["0.0.0.0:65536", "127.0.0.1:99999", "127.0.0.1", ":50051"])(
  "%s is no address to listen on",
  (address) => {
    const listening = z.object({ LISTEN: listenAddress });
    expect(() => readEnvironment(listening, { LISTEN: address })).toThrow(
      "LISTEN is wrong: host:port, such as 127.0.0.1:50051 or [::]:50051",
    );
    expect(readEnvironment(listening, { LISTEN: "[::]:65535" }).LISTEN).toEqual({
      host: "[::]",
      port: 65_535,
    });
  },
);
