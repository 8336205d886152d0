import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openGateway, type TestGateway } from "./open-gateway.js";

let gateway: TestGateway;
let consoleFolder: string;

beforeAll(async () => {
  consoleFolder = await mkdtemp(join(tmpdir(), "emporium-console-"));
  await writeFile(join(consoleFolder, "index.html"), "<!doctype html><title>Console</title>");
  await writeFile(join(consoleFolder, "app.js"), "export {};");
  const limits = { bodyBytes: 1_000, urlLength: 500, requestsPerMinute: 20 };
  gateway = await openGateway({ consoleFolder, limits });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await rm(consoleFolder, { recursive: true });
});

const refusal = async (path: string, init?: RequestInit) => {
  const response = await fetch(gateway.url + path, init);
  const { rpcStatus } = (await response.json()) as { rpcStatus: { code: number } };
  return [response.status, response.headers.get("content-type")?.split(";")[0], rpcStatus.code];
};

test("a body that is too large is refused as a problem", async () => {
  const body = JSON.stringify({ skus: ["A".repeat(2_000)] });
  const init = { method: "POST", headers: { "content-type": "application/json" }, body };
  expect(await refusal("/v1/stock:check", init)).toEqual([413, "application/problem+json", 8]);
});

test("a body of another type is refused as a problem", async () => {
  const init = { method: "POST", headers: { "content-type": "text/plain" }, body: "skus" };
  expect(await refusal("/v1/stock:check", init)).toEqual([415, "application/problem+json", 3]);
});

test("a URL that is too long is refused as a problem", async () => {
  const path = `/v1/products?page_token=${"A".repeat(600)}`;
  expect(await refusal(path)).toEqual([414, "application/problem+json", 3]);
});

test("every response has security headers and a request id", async () => {
  const { headers } = await fetch(`${gateway.url}/v1/products`);
  expect(headers.get("content-security-policy")).toContain("default-src 'self'");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
});

test("a page of the console is its index, a file is the file, a missing file is a problem", async () => {
  const accept = { headers: { accept: "text/html" } };
  expect(await (await fetch(`${gateway.url}/orders/7`, accept)).text()).toContain("Console");
  expect(await (await fetch(`${gateway.url}/app.js`)).text()).toBe("export {};");
  expect(await refusal("/missing.js")).toEqual([404, "application/problem+json", 5]);
});

test("an address that asks too often is refused as a problem", async () => {
  let last: unknown[] = [];
  for (let sent = 0; sent < 21; sent++) last = await refusal("/v1/products");
  expect(last).toEqual([429, "application/problem+json", 8]);
});
