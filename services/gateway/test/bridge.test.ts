import { once } from "node:events";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ShopSessionRequestSchema,
  ShopSessionResponseSchema,
} from "@emporium/contracts/checkout/v1";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openGateway, type TestGateway } from "./open-gateway.js";

const SESSION = "emporium.checkout.v1.CheckoutService/ShopSession";

let gateway: TestGateway;
let authorization: string;

beforeAll(async () => {
  gateway = await openGateway();
  authorization = `Bearer ${await gateway.tokens.get("ada")}`;
});
afterAll(async () => gateway?.[Symbol.asyncDispose]());

function connect(protocol: string, headers: Record<string, string> = { authorization }) {
  const url = `${gateway.url.replace("http", "ws")}/ws/${SESSION}`;
  // Node's WebSocket takes headers, which a browser's does not.
  const socket = new WebSocket(url, { protocols: [protocol], headers });
  socket.binaryType = "arraybuffer";
  return socket;
}

async function* framesOf(socket: WebSocket): AsyncGenerator<string | ArrayBuffer> {
  const frames: (string | ArrayBuffer)[] = [];
  let wake = Promise.withResolvers<void>();
  socket.addEventListener("message", ({ data }) => {
    frames.push(data as string | ArrayBuffer);
    wake.resolve();
  });
  socket.addEventListener("close", () => wake.resolve());
  while (frames.length > 0 || socket.readyState !== WebSocket.CLOSED) {
    if (frames.length === 0) await wake.promise;
    wake = Promise.withResolvers();
    while (frames.length > 0) yield frames.shift()!;
  }
}

test("a bidirectional stream runs over JSON frames: headers first, status last", async () => {
  const socket = connect("emporium.json");
  const frames = framesOf(socket);
  const first = frames.next();
  await once(socket, "open");
  socket.send(JSON.stringify({ message: { start: { customerId: "17850" } } }));
  expect(JSON.parse((await first).value as string)).toHaveProperty("headers");
  socket.send(JSON.stringify({ message: { setLine: { sku: "MUG", quantity: "2" } } }));
  socket.send(JSON.stringify({ end: true }));
  const rest = (await Array.fromAsync(frames)).map(
    (frame) => JSON.parse(frame as string) as object,
  );
  expect(rest).toContainEqual(
    expect.objectContaining({
      message: expect.objectContaining({ cart: expect.anything() as object }) as object,
    }),
  );
  expect(rest.at(-1)).toMatchObject({ status: { code: 0 } });
});

test("the same stream runs over binary frames", async () => {
  const socket = connect("emporium.binary");
  const frames = framesOf(socket);
  const first = frames.next();
  await once(socket, "open");
  const start = create(ShopSessionRequestSchema, {
    action: { case: "start", value: { customerId: "17850" } },
  });
  socket.send(Buffer.concat([Buffer.of(1), toBinary(ShopSessionRequestSchema, start)]));
  expect(new Uint8Array((await first).value as ArrayBuffer)[0]).toBe(0);
  const second = new Uint8Array((await frames.next()).value as ArrayBuffer);
  expect(second[0]).toBe(1);
  expect(fromBinary(ShopSessionResponseSchema, second.subarray(1)).update.case).toBeDefined();
  socket.send(Buffer.of(2));
  const rest = await Array.fromAsync(frames);
  expect(new Uint8Array(rest.at(-1) as ArrayBuffer)[0]).toBe(3);
});

test.each([
  [
    "a failure of the service",
    '{"message":{"setLine":{"sku":"MUG","quantity":"1"}}}',
    "SESSION_OUT_OF_ORDER",
  ],
  ["a frame that is not understood", "{", "JSON"],
  ["an unknown field", '{"message":{"colour":"red"}}', "colour"],
])("%s ends the call with its status", async (_, frame, reason) => {
  const socket = connect("emporium.json");
  const frames = framesOf(socket);
  const first = frames.next();
  await once(socket, "open");
  socket.send(frame);
  const all = [(await first).value, ...(await Array.fromAsync(frames))];
  expect(JSON.parse(all.at(-1) as string)).toMatchObject({ status: { code: 3 } });
  expect(all.at(-1)).toContain(reason);
});

test("a page of another origin cannot open a WebSocket", async () => {
  const socket = connect("emporium.json", { authorization, origin: "https://evil.example" });
  await once(socket, "error");
  expect(socket.readyState).toBe(WebSocket.CLOSED);
});
