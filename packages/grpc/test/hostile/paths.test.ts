import { afterAll, beforeAll, expect, test } from "vitest";
import { startTrial, type Trial } from "../trial-server.js";
import { emptyMessage, Flag, frame, headerBlock, RawPeer, Type } from "./raw-peer.js";

const PATH = "/trial.v1.TrialService/Ask";

let trial: Trial;
let called = 0;
beforeAll(async () => {
  trial = await startTrial({
    ask({ text }) {
      called++;
      return { text };
    },
  });
});
afterAll(() => trial[Symbol.asyncDispose]());

/** The header lists that answer a call of this method and path, as text. */
async function answerOf(method: string, path: string): Promise<string> {
  using peer = await RawPeer.connect(trial.server.address);
  const fields = {
    ":method": method,
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
  };
  peer.send(
    frame(Type.HEADERS, Flag.END_HEADERS, 1, headerBlock(fields)),
    frame(Type.DATA, Flag.END_STREAM, 1, emptyMessage),
  );
  await peer.seen(({ stream, flags }) => stream === 1 && (flags & Flag.END_STREAM) > 0);
  const lists = peer.frames.filter(({ type }) => type === Type.HEADERS);
  return lists.map(({ payload }) => payload.toString("latin1")).join("");
}

test.each([
  ["without its slash (CVE-2026-33186)", PATH.slice(1)],
  ["with two slashes", `/${PATH}`],
  ["with a slash behind it", `${PATH}/`],
  ["with a query", `${PATH}?x=1`],
  ["with a step up", `/trial.v1.TrialService/../trial.v1.TrialService/Ask`],
  ["in percent", PATH.replace("A", "%41")],
  ["in other letters", PATH.toLowerCase()],
])("a path %s names no method", async (_, path) => {
  called = 0;
  expect(await answerOf("POST", path)).toMatch(/grpc-status.12/s);
  expect(called).toBe(0);
});

test.each(["GET", "PUT", "post", "POST /x"])("%s calls no method", async (method) => {
  called = 0;
  expect(await answerOf(method, PATH)).toContain("405");
  expect(called).toBe(0);
});

test("POST of the path itself calls the method", async () => {
  called = 0;
  expect(await answerOf("POST", PATH)).not.toContain("405");
  expect(called).toBe(1);
});
