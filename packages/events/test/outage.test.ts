import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UnsupportedServerError } from "../src/index.js";
import { TestNats } from "./nats.js";
import { TestPostgres } from "./postgres.js";
import { effects, TestShop, until } from "./shop.js";

let postgres: TestPostgres;
let nats: TestNats;

beforeAll(async () => {
  [postgres, nats] = await Promise.all([TestPostgres.start(), TestNats.start()]);
});

afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

test("while Postgres is away nothing is lost, and no event is blamed for it", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  for (let version = 1; version <= 10; version++) {
    await shop.emit(...Array.from({ length: 10 }, (_, nr) => [`rsv_${nr}`, version] as const));
  }
  await postgres.stop();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await postgres.start();
  await until(async () => (await shop.count("effect").catch(() => 0)) === 100);
  for (const versions of Object.values(await shop.versions())) {
    expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  }
  expect(await Array.fromAsync(events.deadLetters.list())).toEqual([]);
});

test("a stream that was deleted while all run is made and filled again", async () => {
  await using shop = await TestShop.open(postgres, nats);
  const events = await shop.process();
  events.startRelay();
  await using _consumer = await events.consume(effects());
  await shop.emit(["rsv_1", 1]);
  await until(async () => (await shop.count("effect")) === 1);
  await shop.deleteStream();
  await shop.emit(["rsv_1", 2]);
  await until(async () => (await shop.count("effect")) === 2);
  expect((await shop.stream()).state.messages).toBe(2);
});

test("a server that loses streams is refused", async () => {
  const old = createServer((socket) => {
    const info = { version: "2.10.22", max_payload: 1_048_576, headers: true, proto: 1 };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => data.includes("PING") && socket.write("PONG\r\n"));
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(old, "listening");
  await using shop = await TestShop.open(postgres, nats);
  const { port } = old.address() as { port: number };
  await expect(shop.process({ servers: `nats://127.0.0.1:${port}` })).rejects.toThrow(
    new UnsupportedServerError("2.10.22"),
  );
  old.close();
});
