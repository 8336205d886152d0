import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HandlerContext } from "../src/index.js";
import { errorOf, startTrial, type Trial } from "./trial-server.js";

let trial: Trial;
let left: number | undefined;

beforeAll(async () => {
  trial = await startTrial({
    async ask({ text }, call: HandlerContext) {
      left = call.timeoutMs();
      await new Promise((resolve) => setImmediate(resolve));
      return { text };
    },
    // Waits for its end.
    askTwo: (_, { signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      ),
  });
});
afterAll(() => trial[Symbol.asyncDispose]());

test.each([0, -1, -Infinity, 2 ** 31 - 1, 2 ** 31, 30 * 86_400_000, 1e15, Infinity, NaN])(
  "a call whose caller wishes for %d ms is answered",
  async (timeoutMs) => {
    expect((await trial.client.ask({ text: "x" }, { timeoutMs })).text).toBe("x");
    // The contract's longest time holds whatever the caller wishes.
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(24 * 3_600_000);
  },
);

test.each([0.4, 5, 20.5])("a call whose caller wishes for %d ms ends then", async (timeoutMs) => {
  expect(await errorOf(trial.client.askTwo({ text: "x" }, { timeoutMs }))).toMatchObject({
    code: Code.DeadlineExceeded,
  });
});
