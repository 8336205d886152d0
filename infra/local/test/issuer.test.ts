import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSecrets } from "../src/issuer/accounts.js";
import { type FreshIssuer, freshIssuer } from "../src/issuer/fresh-issuer.js";
import { clientToken, login } from "../src/issuer/login.js";

/** The local issuer, as people's browsers and programs see it. */
let own: FreshIssuer;

beforeAll(async () => {
  own = await freshIssuer();
});

afterAll(() => own?.[Symbol.asyncDispose]());

test("people log in with code and PKCE, and get no more than they may", async () => {
  const [ada, support] = await Promise.all([
    login(own.issuer, "ada"),
    login(own.issuer, "support"),
  ]);
  expect(decodeProtectedHeader(ada)).toMatchObject({ alg: "ES256", typ: "at+jwt" });
  expect(decodeJwt(ada)).toMatchObject({
    iss: own.issuer.url,
    aud: "emporium",
    sub: "17850",
    client_id: "console",
    scope: "catalogue.read checkout.read checkout.write orders.read orders.write",
  });
  expect(decodeJwt(support)["scope"]).toMatch(/ support$/);
});

test("a program that shows its secret gets a token for itself", async () => {
  const claims = decodeJwt(await clientToken(own.issuer, "replay"));
  expect(claims).toMatchObject({ sub: "replay", client_id: "replay", aud: "emporium" });
});

test("a wrong password, or another's, is refused and asked for again", async () => {
  const { passwords } = await readSecrets(own.issuer.folder);
  const { page, cookie } = await loginPage({ code_challenge: "a".repeat(43) });
  expect(await (await fetch(page, { headers: { cookie } })).text()).toContain('name="password"');
  for (const password of ["", "wrong", passwords.support]) {
    const body = new URLSearchParams({ name: "ada", password });
    const answer = await fetch(page, { method: "POST", body, headers: { cookie } });
    expect(answer.status).toBe(401);
    expect(await answer.text()).toContain("Name or password is wrong");
  }
});

test("a login belongs to the browser that began it", async () => {
  const { page } = await loginPage({ code_challenge: "a".repeat(43) });
  expect((await fetch(page)).status).toBe(400);
});

test("nobody logs in without PKCE, nor to an address that the client has not", async () => {
  const { location: withoutPkce } = await authorize({});
  expect(new URL(withoutPkce!).searchParams.get("error")).toBe("invalid_request");
  const elsewhere = {
    code_challenge: "a".repeat(43),
    redirect_uri: "https://example.com/callback",
  };
  expect((await authorize(elsewhere)).status).toBe(400);
});

test("a new key signs at once; the one before stays published until it is revoked", async () => {
  const kids = async () => {
    const { keys } = (await (await fetch(`${own.issuer.url}/jwks`)).json()) as {
      keys: { kid: string; d?: string }[];
    };
    expect(keys.every(({ d }) => d === undefined)).toBe(true);
    return keys.map(({ kid }) => kid);
  };
  const kidOf = async () => decodeProtectedHeader(await login(own.issuer, "ada")).kid;
  const [first] = await kids();
  await own.rotateKeys();
  await expect.poll(kids).toHaveLength(2);
  const second = await kidOf();
  expect(second).not.toBe(first);
  expect(await kids()).toContain(first);
  await own.rotateKeys({ revoke: true });
  await expect.poll(kids).toHaveLength(1);
  expect([first, second]).not.toContain(await kidOf());
});

test.skipIf(process.platform === "win32")("its secrets are its owner's alone", async () => {
  const names = await readdir(own.issuer.folder, { recursive: true });
  expect(names).toContain("secrets.json");
  for (const name of names) {
    const { mode } = await stat(join(own.issuer.folder, name));
    expect([name, mode & 0o077]).toEqual([name, 0]);
  }
});

test("its log holds none of them", async () => {
  const log = await readFile(join(own.issuer.folder, "../issuer.log"), "utf8");
  const { passwords, clientSecrets, cookieKey } = await readSecrets(own.issuer.folder);
  const secrets = [...Object.values(passwords), ...Object.values(clientSecrets), cookieKey];
  expect(log).toContain("ready");
  expect(secrets.filter((secret) => log.includes(secret))).toEqual([]);
});

/** Where a browser is sent that begins to log in. */
async function authorize(differing: Record<string, string>) {
  const address = new URL("/auth", own.issuer.url);
  address.search = new URLSearchParams({
    client_id: "console",
    response_type: "code",
    redirect_uri: "http://127.0.0.1:4321/callback",
    scope: "openid orders.read",
    ...(differing["code_challenge"] && { code_challenge_method: "S256" }),
    ...differing,
  }).toString();
  const response = await fetch(address, { redirect: "manual" });
  const cookie = response.headers
    .getSetCookie()
    .map((set) => set.split(";")[0])
    .join("; ");
  return { status: response.status, location: response.headers.get("location"), cookie };
}

async function loginPage(differing: Record<string, string>) {
  const { location, cookie } = await authorize(differing);
  return { page: new URL(location!, own.issuer.url), cookie };
}
