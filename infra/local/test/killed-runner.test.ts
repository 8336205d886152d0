import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hasEnded, type ProcessIdentity } from "../src/guard/identity.js";
import type { ProcessRecord } from "../src/guard/leftovers.js";

let directory: string;
let runners: ChildProcess[];

beforeEach(async () => {
  runners = [];
  directory = await mkdtemp(join(tmpdir(), "emporium-killed-"));
  // Where root runs the tests, Postgres runs as another user.
  await chmod(directory, 0o711);
});
afterEach(async () => {
  await Promise.all(runners.map((runner) => end(runner, "SIGTERM")));
  await rm(directory, { recursive: true });
});

function start(): ChildProcess {
  const runner = fork(join(import.meta.dirname, "runner.ts"), [directory], {
    execArgv: ["--import", join(import.meta.dirname, "run-sources.ts")],
  });
  runners.push(runner);
  return runner;
}

async function end(runner: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (runner.exitCode !== null || runner.signalCode !== null) return;
  runner.kill(signal);
  await once(runner, "exit");
}

async function told(runner: ChildProcess): Promise<{ url: string; failed: string }> {
  const silent = once(runner, "exit").then(([code]) => Promise.reject(new Error(`exit ${code}`)));
  const [message] = await Promise.race([once(runner, "message"), silent]);
  return message;
}

function recorded(): ProcessIdentity[] {
  const text = readFileSync(join(directory, "processes.json"), "utf8");
  const { guard, children } = JSON.parse(text) as ProcessRecord;
  return [guard, ...children];
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client(url);
  await client.connect();
  return client.query(sql).then(({ rows }) => client.end().then(() => rows));
}

/** Programs whose command line names the directory: everything but runner and guard. */
function running(): string[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,args="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => line.includes(directory) && !line.includes("runner.ts"));
}

test("a killed runner leaves no process, and the next start finds the data", async () => {
  const first = start();
  const { url } = await told(first);
  await query(url, "CREATE TABLE kept AS SELECT 42 AS answer");
  const processes = recorded();
  expect(processes).toHaveLength(4);

  await end(first, "SIGKILL");
  expect(await Promise.all(processes.map((each) => hasEnded(each, 5000)))).toEqual([
    true,
    true,
    true,
    true,
  ]);

  const { url: again } = await told(start());
  expect(await query(again, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("the start after runner and guard were killed together stops what they left", async () => {
  const first = start();
  const { url } = await told(first);
  await query(url, "CREATE TABLE kept AS SELECT 42 AS answer");
  const [guard, ...children] = recorded();
  process.kill(guard!.pid, "SIGSTOP");
  await end(first, "SIGKILL");
  process.kill(guard!.pid, "SIGKILL");

  const { url: again } = await told(start());
  expect(await query(again, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  expect(await Promise.all(children.map((each) => hasEnded(each, 0)))).toEqual([true, true, true]);
});

test("a killed guard takes everything with it, and its runner says so", async () => {
  const runner = start();
  await told(runner);
  const [guard, ...children] = recorded();
  process.kill(guard!.pid, "SIGKILL");
  expect((await told(runner)).failed).toMatch(/guard process was killed/);
  expect(await Promise.all(children.map((each) => hasEnded(each, 0)))).toEqual([true, true, true]);
});

test.each([200, 400])(
  "a runner that is killed %i ms after its start leaves nothing in the way of the next",
  async (moment) => {
    const first = start();
    // A moment is what this is about: there is no event to wait for.
    await delay(moment);
    await end(first, "SIGKILL");
    const { url } = await told(start());
    expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await end(runners[1]!, "SIGTERM");
    expect(running()).toEqual([]);
  },
);

test("a second runner on the same directory is refused, and the first goes on", async () => {
  const first = start();
  const { url } = await told(first);
  expect((await told(start())).failed).toContain(`Process ${first.pid} `);
  expect(await query(url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});
