import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { movableEngineClock } from "@emporium/grpc/testing";
import { clientKeyFile, type FreshIssuer, freshIssuer } from "@emporium/local/test";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { IssuerAway, OwnTokens, TokenVerifier } from "../src/index.js";

/** How a service gets tokens for itself. */
let own: FreshIssuer;

beforeAll(async () => {
  own = await freshIssuer();
});

afterAll(() => own?.[Symbol.asyncDispose]());

function checkoutsTokens(clock = movableEngineClock()): OwnTokens {
  const keyFile = clientKeyFile(own.issuer.folder, "checkout");
  return new OwnTokens({ issuer: own.issuer.url, clientId: "checkout", keyFile, clock });
}

test("a service has a token that says it acts for itself, with the scopes at hand and no other", async () => {
  using verifier = new TokenVerifier({ issuer: own.issuer.url, audience: "emporium" });
  const token = await verifier.verify(await checkoutsTokens().get(["catalogue.read"]));
  expect(token).toMatchObject({ subject: "checkout", isProgram: true });
  expect([...token.scopes]).toEqual(["catalogue.read"]);
});

test("a token is kept for what it is good for, and asked for once however many need it", async () => {
  const tokens = checkoutsTokens();
  const many = await Promise.all(Array.from({ length: 50 }, () => tokens.get(["orders.write"])));
  expect(new Set(many).size).toBe(1);
  expect(await tokens.get(["orders.write"])).toBe(many[0]);
  expect(await tokens.get(["catalogue.read"])).not.toBe(many[0]);
});

test("it is replaced before it ends, without anybody waiting", async () => {
  const clock = movableEngineClock();
  const tokens = checkoutsTokens(clock);
  const first = await tokens.get(["catalogue.read"]);
  clock.advance(460_000);
  expect(await tokens.get(["catalogue.read"])).toBe(first);
  await expect.poll(() => tokens.get(["catalogue.read"])).not.toBe(first);
});

test("while the issuer is away the token is used as long as it is good, and no longer", async () => {
  await using mine = await freshIssuer();
  const clock = movableEngineClock();
  const keyFile = clientKeyFile(mine.issuer.folder, "checkout");
  const tokens = new OwnTokens({ issuer: mine.issuer.url, clientId: "checkout", keyFile, clock });
  const first = await tokens.get(["catalogue.read"]);
  await mine.issuer.stop();
  clock.advance(500_000);
  expect(await tokens.get(["catalogue.read"])).toBe(first);
  clock.advance(96_000);
  await expect(tokens.get(["catalogue.read"])).rejects.toBeInstanceOf(IssuerAway);
  await mine.issuer.start();
  expect(decodeJwt(await tokens.get(["catalogue.read"])).sub).toBe("checkout");
});

test("a token that a server refused is not used again", async () => {
  const tokens = checkoutsTokens();
  const first = await tokens.get(["catalogue.read"]);
  tokens.forget(first);
  expect(await tokens.get(["catalogue.read"])).not.toBe(first);
});

test("a scope that the service must not have is not given", async () => {
  await expect(checkoutsTokens().get(["stock.write"])).rejects.toThrow("invalid_scope");
});

test("another's key opens nothing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "emporium-key-"));
  try {
    const keyFile = join(folder, "key.pem");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await writeFile(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
    const tokens = new OwnTokens({ issuer: own.issuer.url, clientId: "checkout", keyFile });
    await expect(tokens.get(["catalogue.read"])).rejects.toThrow("invalid_client");
  } finally {
    await rm(folder, { recursive: true });
  }
});
