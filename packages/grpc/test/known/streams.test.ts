import { once } from "node:events";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { errorOf, startTrial, trialClient } from "../trial-server.js";

/** A server that is not ours, and does with each call as it is told. */
async function startOther(answer: (stream: ServerHttp2Stream, call: number) => void) {
  let calls = 0;
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    answer(stream, ++calls);
  });
  server.on("session", (session) => session.on("error", () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get calls() {
      return calls;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

const head = { ":status": 200, "content-type": "application/grpc" };
const empty = Buffer.alloc(5);

function answerOk(stream: ServerHttp2Stream) {
  stream.respond(head, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(empty);
}

test("a call that a server refused before it worked on it is sent again (grpc-node #2569)", async () => {
  await using other = await startOther((stream, call) => {
    if (call === 1) stream.close(7);
    else answerOk(stream);
  });
  using client = trialClient(other.address);
  await client.askAgain({});
  expect(other.calls).toBe(2);
});

test("a call on a session that is told to go away is answered, and the next goes elsewhere (grpc-node #2694)", async () => {
  const sessions = new Set<unknown>();
  await using other = await startOther((stream) => {
    sessions.add(stream.session);
    stream.session!.goaway(0, stream.id);
    answerOk(stream);
  });
  using client = trialClient(other.address);
  for (let call = 0; call < 5; call++) await client.ask({});
  expect(other.calls).toBe(5);
  expect(sessions.size).toBeGreaterThan(1);
});

test("the half-close of a streamed request comes at once, and not with the answer (grpc-node #3032)", async () => {
  const ended = Promise.withResolvers<void>();
  await using other = await startOther((stream) => {
    stream.resume().on("end", () => {
      ended.resolve();
      answerOk(stream);
    });
  });
  using client = trialClient(other.address);
  async function* notes() {
    yield {};
  }
  const answer = client.write(notes());
  await ended.promise;
  await answer;
});

test("a stream that a server leaves open is ended by the caller's deadline (grpc-node #1839)", async () => {
  await using other = await startOther((stream) => stream.respond(head));
  using client = trialClient(other.address);
  const read = Array.fromAsync(client.read({}, { timeoutMs: 300 }));
  expect(await errorOf(read)).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a server that compresses wrongly fails the call, and not the caller's process (CVE-2026-48069)", async () => {
  await using other = await startOther((stream) => {
    stream.respond({ ...head, "grpc-encoding": "gzip" });
    stream.end(Buffer.from([1, 0, 0, 0, 3, 1, 2, 3]));
  });
  using client = trialClient(other.address);
  expect(await errorOf(client.ask({}))).toMatchObject({ code: Code.Internal });
  expect(await errorOf(Array.fromAsync(client.read({})))).toMatchObject({ code: Code.Internal });
});

test("what a handler threw is not told to callers (CVE-2026-101915)", async () => {
  await using trial = await startTrial({
    ask: () => {
      throw new Error("password is hunter2");
    },
    // eslint-disable-next-line require-yield
    async *read() {
      throw new Error("password is hunter2");
    },
  });
  for (const call of [trial.client.ask({}), Array.fromAsync(trial.client.read({}))]) {
    const error = (await errorOf(call)) as {
      message: string;
      metadata: Headers;
      details: unknown[];
    };
    const said = `${error.message} ${JSON.stringify([...error.metadata])} ${JSON.stringify(error.details)}`;
    expect(said).not.toMatch(/hunter2/);
    expect(error).toMatchObject({ code: Code.Internal });
  }
});

test("a message of no bytes, many at once, is read one by one (grpc-node #1539)", async () => {
  await using other = await startOther((stream) => {
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.concat(Array.from({ length: 5_000 }, () => empty)));
  });
  using client = trialClient(other.address);
  expect(await Array.fromAsync(client.read({}))).toHaveLength(5_000);
});
