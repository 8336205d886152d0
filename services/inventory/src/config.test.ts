import { testInfrastructure } from "@emporium/local/test";
import { ConfigurationError } from "@emporium/runtime";
import { expect, test } from "vitest";
import { configFromEnvironment } from "./config.js";

const { certificates } = await testInfrastructure();
const files = await certificates.filesOf("inventory");
const required = {
  TLS_CERT_FILE: files.certFile,
  TLS_KEY_FILE: files.keyFile,
  TLS_CA_FILE: files.caFile,
  OIDC_ISSUER_URL: "https://issuer.example.com",
  DATABASE_URL: "postgresql://localhost/inventory",
  NATS_URL: "nats://one:4222,nats://two:4222",
};

test("what the environment leaves unsaid has a default", () => {
  expect(configFromEnvironment(required)).toEqual({
    tls: expect.objectContaining({ files }),
    oidc: { issuer: "https://issuer.example.com", audience: "emporium" },
    listen: { host: "127.0.0.1", port: 50052 },
    databaseUrl: "postgresql://localhost/inventory",
    nats: { servers: ["nats://one:4222", "nats://two:4222"], prefix: "emporium" },
    currency: "GBP",
    logLevel: "info",
    shutdownGraceMs: 10_000,
    reservationTtlMs: 900_000,
    sweepIntervalMs: 5_000,
  });
});

test("a process may be told how many connections it has to Postgres, and not to have none", () => {
  const read = (size: string) => configFromEnvironment({ ...required, DATABASE_POOL_SIZE: size });
  expect(read("4").databasePoolSize).toBe(4);
  expect(() => read("0")).toThrow(/^DATABASE_POOL_SIZE is wrong/);
});

test("an IPv6 address keeps its colons", () => {
  const { listen } = configFromEnvironment({ ...required, GRPC_LISTEN_ADDR: "[::1]:50052" });
  expect(listen).toEqual({ host: "[::1]", port: 50052 });
});

test("a variable that is missing or wrong is named", () => {
  const read = () => configFromEnvironment({ NATS_URL: "nats://x", SHOP_CURRENCY: "pounds" });
  expect(read).toThrow(ConfigurationError);
  expect(read).toThrow(/DATABASE_URL is not set[^]*SHOP_CURRENCY is wrong/);
});
