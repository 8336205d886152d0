import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataKeys, withNewKey } from "@emporium/database";
import { testInfrastructure } from "@emporium/local/test";
import { ConfigurationError } from "@emporium/runtime";
import { afterAll, expect, test } from "vitest";
import { configFromEnvironment, defaultSagaSettings } from "./config.js";

const directory = mkdtempSync(join(tmpdir(), "config-"));
const keysFile = join(directory, "data-keys.json");
writeFileSync(keysFile, JSON.stringify(withNewKey("first")));
afterAll(() => rmSync(directory, { recursive: true }));

const { certificates } = await testInfrastructure();
const files = await certificates.filesOf("checkout");
const needed = {
  DATA_KEYS_FILE: keysFile,
  TLS_CERT_FILE: files.certFile,
  TLS_KEY_FILE: files.keyFile,
  TLS_CA_FILE: files.caFile,
  OIDC_ISSUER_URL: "https://issuer.example.com",
  OIDC_CLIENT_KEY_FILE: "/keys/checkout.pem",
  DATABASE_URL: "postgresql://shop:secret@localhost:5432/checkout",
  NATS_URL: "nats://one:4222,nats://two:4222",
};

test("what is not set has the shop's usual value", () => {
  expect(configFromEnvironment(needed)).toEqual({
    tls: expect.objectContaining({ files }),
    oidc: {
      issuer: "https://issuer.example.com",
      audience: "emporium",
      keyFile: "/keys/checkout.pem",
    },
    listen: { host: "127.0.0.1", port: 50053 },
    databaseUrl: needed.DATABASE_URL,
    nats: { servers: ["nats://one:4222", "nats://two:4222"], prefix: "emporium" },
    dataKeys: expect.any(DataKeys) as DataKeys,
    inventoryAddress: "dns:///127.0.0.1:50052",
    ordersAddress: "dns:///127.0.0.1:50051",
    currency: "GBP",
    logLevel: "info",
    shutdownGraceMs: 10_000,
    saga: defaultSagaSettings,
    slowPaymentMs: 2_000,
  });
});

test("a wrong value is told by its name, a line each", () => {
  const wrong = { ...needed, SAGA_LEASE_MS: "soon", FAULT_POINTS: "after-lunch=kill" };
  const read = () => configFromEnvironment(wrong);
  expect(read).toThrow(ConfigurationError);
  expect(read).toThrow(
    /^FAULT_POINTS is wrong: .*before-start=kill.*\nSAGA_LEASE_MS is wrong: .*$/,
  );
});
