import { afterAll, beforeAll, expect, test } from "vitest";
import { openGateway, type TestGateway } from "./open-gateway.js";

let gateway: TestGateway;
let authorization: string;

beforeAll(async () => {
  gateway = await openGateway();
  authorization = `Bearer ${await gateway.tokens.get("admin")}`;
});
afterAll(async () => gateway?.[Symbol.asyncDispose]());

const call = (
  path: string,
  init: Omit<RequestInit, "headers"> & { headers?: Record<string, string> } = {},
) => fetch(gateway.url + path, { ...init, headers: { authorization, ...init.headers } });

const json = { "content-type": "application/json" };

test("a path variable names the thing to get", async () => {
  const response = await call("/v1/products/MUG");
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ product: { sku: "MUG", title: "A mug" } });
});

test("query parameters are fields of the request, by either of their names", async () => {
  for (const query of ["page_size=1", "pageSize=1"]) {
    const { products } = (await (await call(`/v1/products?${query}`)).json()) as {
      products: unknown[];
    };
    expect(products).toHaveLength(1);
  }
});

test("a body can be one field of the request, with a variable in it and a mask in the query", async () => {
  const response = await call("/v1/products/LAMP?update_mask=title", {
    method: "PATCH",
    headers: json,
    body: JSON.stringify({ title: "A tall lamp" }),
  });
  expect(await response.json()).toMatchObject({ product: { sku: "LAMP", title: "A tall lamp" } });
});

test("a body can be the whole request", async () => {
  const body = JSON.stringify({ skus: ["MUG"] });
  const response = await call("/v1/stock:check", { method: "POST", headers: json, body });
  expect(response.status).toBe(200);
});

test("an error of the service is a problem with google.rpc.Status and its details", async () => {
  const response = await call("/v1/products/NOTHING");
  expect(response.status).toBe(404);
  expect(response.headers.get("content-type")).toContain("application/problem+json");
  expect(await response.json()).toMatchObject({
    status: 404,
    title: "Not Found",
    rpcStatus: { code: 5, details: [{ reason: "PRODUCT_NOT_FOUND" }, {}] },
  });
});

test.each([
  ["an unknown query parameter", "/v1/products?colour=red", undefined, "colour"],
  ["a wrong number", "/v1/products?page_size=many", undefined, "page_size"],
  ["an unknown field", "/v1/stock:check", '{"skus":["MUG"],"colour":"red"}', "colour"],
  ["a wrong field of a list", "/v1/stock:check", '{"skus":[7]}', "skus"],
])("%s is a 400 that names the field", async (_, path, body, field) => {
  const response = await call(path, body ? { method: "POST", headers: json, body } : {});
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    rpcStatus: { details: [{ fieldViolations: [{ field }] }] },
  });
});

test("malformed JSON is a 400 that says where", async () => {
  const response = await call("/v1/stock:check", { method: "POST", headers: json, body: "{" });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    rpcStatus: {
      details: [
        { fieldViolations: [{ description: expect.stringContaining("not JSON") as string }] },
      ],
    },
  });
});

test("a response that the client knows already is not sent again", async () => {
  const etag = (await call("/v1/products/MUG")).headers.get("etag");
  const again = await call("/v1/products/MUG", { headers: { "if-none-match": etag! } });
  expect(again.status).toBe(304);
});

test("a path with the wrong method says which are allowed", async () => {
  const response = await call("/v1/products/MUG", { method: "DELETE" });
  expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, PATCH"]);
});

test("a path that nothing serves is a problem", async () => {
  const response = await call("/nothing");
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ rpcStatus: { code: 5 } });
});

test("a stream is newline-delimited JSON, or events with an id to resume from", async () => {
  const first = await firstChunk("/v1/stock:watch?skus=MUG", "application/x-ndjson");
  expect(JSON.parse(first)).toMatchObject({ result: { levels: [{ sku: "MUG" }] } });
  const event = await firstChunk("/v1/stock:watch?skus=MUG", "text/event-stream");
  expect(event).toMatch(/^id: \S+\ndata: \{.*\}\n\n$/);
});

test("Last-Event-ID is the resume token of the call", async () => {
  const response = await call("/v1/stock:watch?skus=MUG", {
    headers: { accept: "text/event-stream", "last-event-id": "never-given-out" },
  });
  expect(await response.text()).toContain("INVALID_RESUME_TOKEN");
});

async function firstChunk(path: string, accept: string): Promise<string> {
  const leaving = new AbortController();
  const response = await call(path, { headers: { accept }, signal: leaving.signal });
  const { value } = await response.body!.getReader().read();
  leaving.abort();
  return Buffer.from(value).toString();
}
