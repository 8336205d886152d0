import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { everyScope } from "../src/index.js";
import { openGateway, type TestGateway } from "./open-gateway.js";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openGateway((shop) => ({
    signIn: { issuer: shop.issuer.url, clientId: "console", scopes: everyScope() },
  }));
});
afterAll(() => gateway?.[Symbol.asyncDispose]());

/** As much of a browser as signing in takes: cookies by host, and redirects until a page is shown. */
class Browser {
  readonly #cookies = new Map<string, Map<string, string>>();

  async visit(url: string, init: RequestInit = {}): Promise<Response & { url: string }> {
    const { host } = new URL(url);
    const jar = this.#cookies.get(host) ?? new Map<string, string>();
    this.#cookies.set(host, jar);
    const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
    const headers = { ...(init.headers as Record<string, string>), ...(cookie && { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      if (/Max-Age=0\b/.test(set)) jar.delete(name);
      else jar.set(name, value);
    }
    const next = response.headers.get("location");
    return next ? this.visit(new URL(next, url).href) : response;
  }

  cookieOf(url: string, name: string): string | undefined {
    return this.#cookies.get(new URL(url).host)?.get(name);
  }
}

async function signedIn(returnTo = "/"): Promise<{ browser: Browser; page: Response }> {
  const browser = new Browser();
  const form = await browser.visit(`${gateway.url}/auth/sign-in?return=${returnTo}`);
  const { passwords } = JSON.parse(
    readFileSync(join(gateway.shop.issuer.folder, "secrets.json"), "utf8"),
  ) as { passwords: Record<string, string> };
  const body = new URLSearchParams({ name: "ada", password: passwords["ada"]! });
  return { browser, page: await browser.visit(form.url, { method: "POST", body }) };
}

const orders = (browser: Browser, headers: Record<string, string> = {}) =>
  browser.visit(`${gateway.url}/emporium.orders.v2.OrderService/ListOrders`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ customerId: "17850" }),
  });

test("a customer who has signed in calls as himself, and no longer after signing out", async () => {
  const { browser, page } = await signedIn();
  expect(await page.text()).toContain("<title>Emporium</title>");
  const origin = gateway.url;
  const session = await (await browser.visit(`${origin}/auth/session`)).json();
  expect(session).toMatchObject({ customer: "17850" });
  expect(JSON.stringify(session)).not.toContain("token");
  expect((await orders(browser, { origin })).status).toBe(200);
  const out = await browser.visit(`${origin}/auth/sign-out`, {
    method: "POST",
    headers: { origin },
  });
  expect(out.status).toBe(204);
  expect((await orders(browser, { origin })).status).toBe(401);
  expect((await browser.visit(`${origin}/auth/session`)).status).toBe(401);
});

test("another site's request does not act for a customer", async () => {
  const { browser } = await signedIn();
  expect((await orders(browser, { origin: "https://evil.example" })).status).toBe(401);
  expect((await orders(browser, { "sec-fetch-site": "cross-site" })).status).toBe(401);
  expect((await orders(browser)).status).toBe(401);
  const headers = { origin: "https://evil.example" };
  const out = await browser.visit(`${gateway.url}/auth/sign-out`, { method: "POST", headers });
  expect(out.status).toBe(403);
  expect((await orders(browser, { "sec-fetch-site": "same-origin" })).status).toBe(200);
});

test("a session that was changed, or sealed for another use, is none", async () => {
  const { browser } = await signedIn();
  const session = browser.cookieOf(gateway.url, "emporium_session")!;
  const changed = session.slice(0, -2) + (session.endsWith("AA") ? "BB" : "AA");
  for (const value of [changed, "", "x".repeat(5_000)]) {
    const headers = { cookie: `emporium_session=${value}` };
    expect((await fetch(`${gateway.url}/auth/session`, { headers })).status).toBe(401);
  }
  const headers = { cookie: `emporium_sign_in=${session}` };
  const callback = await fetch(`${gateway.url}/callback?code=x&state=y`, { headers });
  expect(callback.status).toBe(401);
  expect(callback.headers.get("content-type")).toContain("application/problem+json");
});

test.each(["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)"])(
  "signing in does not lead to %s",
  async (target) => {
    const { page } = await signedIn(encodeURIComponent(target));
    expect(new URL(page.url).host).toBe(new URL(gateway.url).host);
  },
);
