import { expect, test } from "vitest";
import { compilePathTemplate } from "./path-template.js";

// The examples of google/api/http.proto, and what grpc-gateway and Vanguard publish of theirs.
test.each([
  ["/v1/{name=messages/*}", "/v1/messages/123456", { name: "messages/123456" }],
  ["/v1/{name=messages/*}", "/v1/messages/1/2", undefined],
  ["/v1/messages/{message_id}", "/v1/messages/123456", { message_id: "123456" }],
  [
    "/v1/users/{user_id}/messages/{message_id}",
    "/v1/users/me/messages/1",
    { user_id: "me", message_id: "1" },
  ],
  ["/v1/{parent=shelves/*}/books", "/v1/shelves/7/books", { parent: "shelves/7" }],
  [
    "/v1/{book.name=shelves/*/books/*}",
    "/v1/shelves/7/books/8",
    { "book.name": "shelves/7/books/8" },
  ],
  ["/v1/{name=**}", "/v1/a/b/c", { name: "a/b/c" }],
  ["/v1/orders/{id}:watch", "/v1/orders/7:watch", { id: "7" }],
  ["/v1/orders/{id}:watch", "/v1/orders/7", undefined],
  ["/v1/orders:export", "/v1/orders:export", {}],
  ["/v1/{id}", "/v1/a%2Fb%20c", { id: "a/b c" }],
  ["/v1/{name=**}", "/v1/a%2Fb/c%20d", { name: "a%2Fb/c d" }],
  ["/v1/a.b", "/v1/aXb", undefined],
])("%s and %s", (template, path, values) => {
  expect(compilePathTemplate(template).match(path)).toEqual(values);
});

test("a template that the grammar does not allow is an error", () => {
  expect(() => compilePathTemplate("v1/books")).toThrow(TypeError);
  expect(() => compilePathTemplate("/v1/{books")).toThrow(TypeError);
});
