import { expect, test } from "vitest";
import { Group } from "./group.js";

/** A run that ends when the test says so. */
function heldRuns() {
  const runs: { asks: number[]; end(): void; fail(error: Error): void }[] = [];
  const run = (asks: number[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    runs.push({ asks, end: () => resolve(asks.map((ask) => `answer ${ask}`)), fail: reject });
    return promise;
  };
  return { runs, run };
}

/** All want the same. */
const keysOf = () => ["same"];

/** Lets the event loop go round. */
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test("an ask that finds nothing running is run at once and alone", async () => {
  const { runs, run } = heldRuns();
  const group = new Group(run, { members: 10, batches: 1, keysOf });
  const answer = group.ask(1);
  expect(runs.map(({ asks }) => asks)).toEqual([[1]]);
  runs[0]?.end();
  expect(await answer).toBe("answer 1");
});

test("asks that come while all batches run make up the next batch, each with its own answer", async () => {
  const { runs, run } = heldRuns();
  const group = new Group(run, { members: 10, batches: 2, keysOf });
  const answers = [group.ask(1), group.ask(2)];
  await turn();
  answers.push(...[3, 4, 5].map((ask) => group.ask(ask)));
  await turn();
  expect(runs.map(({ asks }) => asks)).toEqual([[1], [2]]);
  runs[1]?.end();
  await turn();
  expect(runs[2]?.asks).toEqual([3, 4, 5]);
  for (const run of runs) run.end();
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4, 5].map((ask) => `answer ${ask}`));
});

test("those who ask again in the same turn as they were answered come along in the next batch", async () => {
  const { runs, run } = heldRuns();
  const group = new Group(run, { members: 10, batches: 1, keysOf });
  const first = group.ask(1).then(() => group.ask(3));
  const second = group.ask(2);
  runs[0]?.end();
  await turn();
  expect(runs[1]?.asks).toEqual([2, 3]);
  runs[1]?.end();
  expect(await Promise.all([first, second])).toEqual(["answer 3", "answer 2"]);
});

test("a batch has no more members than its limit", async () => {
  const batches: number[][] = [];
  const group = new Group(
    async (asks: number[]) => {
      batches.push(asks);
      return asks;
    },
    { members: 2, batches: 1, keysOf },
  );
  await Promise.all([1, 2, 3, 4].map((ask) => group.ask(ask)));
  expect(batches).toEqual([[1], [2, 3], [4]]);
});

test("where a batch fails each member is run again alone, so that nobody gets another's error", async () => {
  const group = new Group(
    async (asks: number[]) => {
      if (asks.includes(3)) throw new Error("3 is wrong");
      return asks;
    },
    { members: 10, batches: 1, keysOf },
  );
  const answers = await Promise.allSettled([1, 2, 3, 4].map((ask) => group.ask(ask)));
  expect(
    answers.map((answer) => (answer.status === "fulfilled" ? answer.value : "failed")),
  ).toEqual([1, 2, "failed", 4]);
});

test("an ask whose caller left before its batch started is not run", async () => {
  const { runs, run } = heldRuns();
  const group = new Group(run, { members: 10, batches: 1, keysOf });
  const first = group.ask(1);
  const caller = new AbortController();
  const second = group.ask(2, caller.signal);
  const third = group.ask(3);
  caller.abort(new Error("gone"));
  runs[0]?.end();
  await first;
  await expect(second).rejects.toThrow("gone");
  expect(runs[1]?.asks).toEqual([3]);
  runs[1]?.end();
  expect(await third).toBe("answer 3");
});

test("an ask whose caller leaves while its batch runs is answered all the same", async () => {
  const { runs, run } = heldRuns();
  const group = new Group(run, { members: 10, batches: 1, keysOf });
  const caller = new AbortController();
  const answer = group.ask(1, caller.signal);
  caller.abort();
  runs[0]?.end();
  expect(await answer).toBe("answer 1");
});

/** Asks by what they are about: `a1` and `a2` are both about `a`; `?` may be about anything. */
const letters = {
  members: 10,
  batches: 2,
  keysOf: (ask: string) => (ask.startsWith("?") ? undefined : ask.match(/[a-z]/g)!),
};

function lettersGroup() {
  const runs: { asks: string[]; behind: boolean; end: () => void }[] = [];
  const group = new Group<string, string>((asks, before) => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    runs.push({ asks, behind: before !== undefined, end: () => resolve(asks) });
    return promise;
  }, letters);
  const started = () => runs.map(({ asks, behind }) => [...asks, ...(behind ? ["behind"] : [])]);
  return { group, runs, started };
}

test("who has nothing in common with what runs goes beside it, but not past somebody of the same kind", async () => {
  const { group, runs, started } = lettersGroup();
  const all = ["a1", "b1", "ac", "c1", "d1"].map((ask) => group.ask(ask));
  await turn();
  expect(started()).toEqual([["a1"], ["b1", "d1"]]);
  runs[0]?.end();
  await turn();
  expect(started()[2]).toEqual(["ac", "c1"]);
  runs.forEach(({ end }) => end());
  expect(await Promise.all(all)).toEqual(["a1", "b1", "ac", "c1", "d1"]);
});

test("where all have something in common with it, the next batch starts and is told to come behind", async () => {
  const { group, runs, started } = lettersGroup();
  const all = ["a1", "a2", "a3"].map((ask) => group.ask(ask));
  await turn();
  expect(started()).toEqual([["a1"], ["a2", "a3", "behind"]]);
  runs.forEach(({ end }) => end());
  await Promise.all(all);
});

test("nobody goes beside or past what may be about anything", async () => {
  const { group, runs, started } = lettersGroup();
  const all = ["a1", "?1", "b1"].map((ask) => group.ask(ask));
  await turn();
  expect(started()).toEqual([["a1"], ["?1", "b1", "behind"]]);
  all.push(group.ask("c1"));
  runs[0]?.end();
  await turn();
  expect(started()[2]).toEqual(["c1", "behind"]);
  runs.forEach(({ end }) => end());
  await Promise.all(all);
});
