import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataKeys, withNewKey } from "@emporium/database";
import { testInfrastructure } from "@emporium/local/test";
import { ConfigurationError } from "@emporium/runtime";
import { afterAll, expect, test } from "vitest";
import { configFromEnvironment } from "./config.js";

const directory = mkdtempSync(join(tmpdir(), "config-"));
const keysFile = join(directory, "data-keys.json");
writeFileSync(keysFile, JSON.stringify(withNewKey("first")));
afterAll(() => rmSync(directory, { recursive: true }));

const { certificates } = await testInfrastructure();
const files = await certificates.filesOf("orders");
const required = {
  DATA_KEYS_FILE: keysFile,
  TLS_CERT_FILE: files.certFile,
  TLS_KEY_FILE: files.keyFile,
  TLS_CA_FILE: files.caFile,
  DATABASE_URL: "postgresql://localhost/orders",
  NATS_URL: "nats://localhost:4222",
};

test("database, NATS and certificate are enough; the rest has defaults", () => {
  expect(configFromEnvironment(required)).toEqual({
    tls: expect.objectContaining({ files }),
    listen: { host: "127.0.0.1", port: 50051 },
    databaseUrl: "postgresql://localhost/orders",
    nats: { servers: ["nats://localhost:4222"], prefix: "emporium" },
    dataKeys: expect.any(DataKeys) as DataKeys,
    inventoryAddress: "dns:///127.0.0.1:50052",
    currency: "GBP",
    taxRateBasisPoints: 0,
    logLevel: "info",
    shutdownGraceMs: 10_000,
  });
});

test("every variable reaches the configuration", () => {
  expect(
    configFromEnvironment({
      ...required,
      GRPC_LISTEN_ADDR: "[::]:7001",
      HEALTH_LISTEN_ADDR: "127.0.0.1:7002",
      DATABASE_URL: "postgres://db/o",
      NATS_URL: "nats://a:4222,nats://b:4222",
      EVENT_PREFIX: "shop-2",
      DATA_KEYS_FILE: keysFile,
      INVENTORY_ADDR: "dns:///inventory:50052",
      SHOP_CURRENCY: "EUR",
      SHOP_TAX_RATE_BASIS_POINTS: "2000",
      LOG_LEVEL: "debug",
      SHUTDOWN_GRACE_MS: "250",
    }),
  ).toEqual({
    tls: expect.objectContaining({ files }),
    listen: { host: "[::]", port: 7001 },
    probes: { host: "127.0.0.1", port: 7002 },
    databaseUrl: "postgres://db/o",
    nats: { servers: ["nats://a:4222", "nats://b:4222"], prefix: "shop-2" },
    dataKeys: expect.any(DataKeys) as DataKeys,
    inventoryAddress: "dns:///inventory:50052",
    currency: "EUR",
    taxRateBasisPoints: 2000,
    logLevel: "debug",
    shutdownGraceMs: 250,
  });
});

test.each([
  ["DATABASE_URL", "mysql://x"],
  ["NATS_URL", ""],
  ["GRPC_LISTEN_ADDR", "50051"],
  ["HEALTH_LISTEN_ADDR", "here"],
  ["TLS_CERT_FILE", ""],
  ["TLS_KEY_FILE", "/nowhere/tls.key"],
  ["EVENT_PREFIX", "a.b"],
  ["SHOP_CURRENCY", "pounds"],
  ["SHOP_TAX_RATE_BASIS_POINTS", "10001"],
  ["LOG_LEVEL", "loud"],
  ["SHUTDOWN_GRACE_MS", "soon"],
])("a wrong %s is named", (name, value) => {
  const start = () => configFromEnvironment({ ...required, [name]: value });
  expect(start).toThrow(ConfigurationError);
  expect(start).toThrow(name);
});
