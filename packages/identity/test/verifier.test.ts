import { createPublicKey } from "node:crypto";
import { movableEngineClock } from "@emporium/grpc/testing";
import { type FreshIssuer, freshIssuer, login } from "@emporium/local/test";
import { base64url, exportJWK, generateKeyPair, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidToken, TokenVerifier } from "../src/index.js";
import { signerOf } from "./signing.js";

/** Tokens as they come, by a real issuer and by those who would like to be one. */
let own: FreshIssuer;
let signer: Awaited<ReturnType<typeof signerOf>>;
let verifier: TokenVerifier;

beforeAll(async () => {
  own = await freshIssuer();
  signer = await signerOf(own);
  verifier = new TokenVerifier({ issuer: own.issuer.url, audience: "emporium" });
  await verifier.ready();
});

afterAll(async () => {
  verifier?.[Symbol.dispose]();
  await own?.[Symbol.asyncDispose]();
});

const seconds = () => Math.floor(Date.now() / 1000);

test("a person's token says whose it is and what it allows", async () => {
  const token = await verifier.verify(await login(own.issuer, "ada"));
  expect(token).toMatchObject({ subject: "17850", isProgram: false });
  expect([...token.scopes]).toContain("checkout.write");
  expect([...token.scopes]).not.toContain("support");
});

test("a program whose client id is its subject acts for itself", async () => {
  const jwt = await signer.sign({ claims: { sub: "replay", client_id: "replay" } });
  expect(await verifier.verify(jwt)).toMatchObject({ subject: "replay", isProgram: true });
});

describe("refused", () => {
  const cases: Record<string, () => Promise<string>> = {
    "alg none": async () => new UnsecuredJWT(signer.claims).encode(),
    "alg none under the header of a good token": async () => {
      const [, payload] = (await signer.sign()).split(".");
      const header = base64url.encode(JSON.stringify({ ...signer.header, alg: "none" }));
      return `${header}.${payload}.`;
    },
    "HS256 with the public key as the secret": async () => {
      const pem = createPublicKey({ key: signer.jwk, format: "jwk" }).export({
        type: "spki",
        format: "pem",
      });
      return signer.sign({ header: { alg: "HS256" } }, Buffer.from(pem));
    },
    "another key under the same id": async () => {
      const { privateKey } = await generateKeyPair("ES256");
      return signer.sign({}, privateKey);
    },
    "a changed payload": async () => {
      const [header, , signature] = (await signer.sign()).split(".");
      const payload = base64url.encode(JSON.stringify({ ...signer.claims, scope: "support" }));
      return `${header}.${payload}.${signature}`;
    },
    "an ID token's type": () => signer.sign({ header: { typ: "JWT" } }),
    "no type": () => signer.sign({ header: { typ: undefined as never } }),
    "an extension that must be understood": () =>
      signer.sign({
        header: { crit: ["https://example.com/must"], "https://example.com/must": true },
      }),
    "another issuer": () => signer.sign({ claims: { iss: "https://issuer.example.com" } }),
    "another audience": () => signer.sign({ claims: { aud: "bank" } }),
    "two audiences": () => signer.sign({ claims: { aud: ["emporium", "bank"] } }),
    "no audience": () => signer.sign({ claims: { aud: undefined as never } }),
    "no expiry": () => signer.sign({ claims: { exp: undefined as never } }),
    "no subject": () => signer.sign({ claims: { sub: undefined as never } }),
    "no client": () => signer.sign({ claims: { client_id: undefined } }),
    "scopes as a list": () => signer.sign({ claims: { scope: ["support"] } }),
    "expired past the skew": () => signer.sign({ claims: { exp: seconds() - 31 } }),
    "not yet good past the skew": () => signer.sign({ claims: { nbf: seconds() + 45 } }),
    "a key id that is a path": () => signer.sign({ header: { kid: "../../../../dev/null" } }),
    "no key id": () => signer.sign({ header: { kid: undefined as never } }),
    "a key of its own, embedded": async () => {
      const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
      const jwk = await exportJWK(publicKey);
      return signer.sign({ header: { kid: "mine", jwk } }, privateKey);
    },
    "a key set of its own, by address": async () => {
      const { privateKey } = await generateKeyPair("ES256");
      const jku = "https://keys.example.com/jwks";
      return signer.sign({ header: { kid: "mine", jku } }, privateKey);
    },
    "more than 8 KiB": () => signer.sign({ claims: { padding: "a".repeat(8 * 1024) } }),
    "1 MB": () => signer.sign({ claims: { padding: "a".repeat(1024 * 1024) } }),
    "1 MB of dots": async () => ".".repeat(1024 * 1024),
    "no token at all": async () => "",
    "three words": async () => "not.a.token",
  };
  test.each(Object.entries(cases))("%s", async (_, make) => {
    await expect(verifier.verify(await make())).rejects.toBeInstanceOf(InvalidToken);
  });
});

describe("taken", () => {
  const cases: Record<string, () => Promise<string>> = {
    "just below 8 KiB": () => signer.sign({ claims: { padding: "a".repeat(5_700) } }),
    "one audience in a list": () => signer.sign({ claims: { aud: ["emporium"] } }),
    "no scopes": () => signer.sign({ claims: { scope: undefined } }),
    "a key set of its own beside the real signature": () =>
      signer.sign({ header: { jku: "https://keys.example.com/jwks" } }),
  };
  test.each(Object.entries(cases))("%s", async (_, make) => {
    expect(await verifier.verify(await make())).toMatchObject({ subject: "17850" });
  });
});

test("clocks may differ by the skew and no second more, before and after", async () => {
  const clock = movableEngineClock();
  using verifier = new TokenVerifier({ issuer: own.issuer.url, audience: "emporium", clock });
  const start = Math.floor(clock.now() / 1000);
  const claims = { nbf: start + 100, exp: start + 200 };
  const sign = () => signer.sign({ claims: { ...claims, jti: String(Math.random()) } });
  const at = (second: number) => clock.advance(start * 1000 + second * 1000 - clock.now());
  const outcome = async () =>
    verifier.verify(await sign()).then(
      () => "taken",
      () => "refused",
    );
  const seen: Record<number, string> = {};
  for (const second of [69, 70, 199, 229, 230]) {
    at(second);
    seen[second] = await outcome();
  }
  expect(seen).toEqual({
    69: "refused",
    70: "taken",
    199: "taken",
    229: "taken",
    230: "refused",
  });
});

test("a token that was taken before is refused once it has expired", async () => {
  const clock = movableEngineClock();
  using verifier = new TokenVerifier({ issuer: own.issuer.url, audience: "emporium", clock });
  const jwt = await signer.sign({ claims: { exp: Math.floor(clock.now() / 1000) + 20 } });
  await verifier.verify(jwt);
  clock.advance(60_000);
  await expect(verifier.verify(jwt)).rejects.toThrow("exp");
});

test("an issuer without TLS is taken on this machine only", () => {
  const remote = { issuer: "http://issuer.example.com", audience: "emporium" };
  expect(() => new TokenVerifier(remote)).toThrow("neither https nor on this machine");
});
