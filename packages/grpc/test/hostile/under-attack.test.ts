import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle, type Programs } from "../bundle.js";
import { trialClient } from "../trial-server.js";

/**
 * S1: one attacking process, and a victim that calls every 20 ms. `HOSTILE=full` attacks for 6 s each
 * and prints what it saw; the short form only makes sure that nobody else is harmed.
 */
const full = process.env["HOSTILE"] === "full";
const DURATION_MS = full ? 6_000 : 1_500;

const attacks = [
  "rapid reset",
  "zero WINDOW_UPDATE",
  "PING",
  "SETTINGS",
  "empty DATA",
  "WINDOW_UPDATE",
  "CONTINUATION",
  "connections",
  "half-sent calls",
  "gzip bombs",
];

interface Told {
  mostBytes: number;
  heapBytes: number;
  loopP99Ms: number;
  connections: number;
  refused: Record<string, number>;
}

let programs: Programs;
let target: ChildProcess;
let address: string;

beforeAll(async () => {
  programs = await bundle(import.meta.dirname, "target", "attacks");
  target = fork(programs.pathOf("target"), { execArgv: [] });
  [{ address }] = (await once(target, "message")) as [{ address: string }];
});
afterAll(async () => {
  target.disconnect();
  await once(target, "exit");
  await programs[Symbol.asyncDispose]();
});

async function ask(): Promise<Told> {
  target.send("how are you");
  const [told] = (await once(target, "message")) as [Told];
  return told;
}

/** Calls every 20 ms until told to stop; returns how long each call took. */
async function callAsVictim(stop: AbortSignal): Promise<number[]> {
  using client = trialClient(address);
  const took: number[] = [];
  while (!stop.aborted) {
    const started = performance.now();
    await client.ask({ text: "x" });
    took.push(performance.now() - started);
    await delay(20);
  }
  return took.sort((one, other) => one - other);
}

test.each(attacks)(
  "under an attack of %s every call of others is answered",
  { timeout: 120_000 },
  async (attack) => {
    const before = await ask();
    // An address of its own: the server keeps those out for a while that have flooded.
    const from = `127.0.0.${attacks.indexOf(attack) + 2}`;
    const stop = new AbortController();
    const victim = callAsVictim(stop.signal);
    const attacker = fork(
      programs.pathOf("attacks"),
      [address, attack, String(DURATION_MS), from],
      {
        execArgv: [],
        stdio: "ignore",
      },
    );
    await once(attacker, "exit");
    stop.abort();
    const took = await victim;
    const after = await ask();
    expect(target.exitCode).toBeNull();
    const growth = (after.mostBytes - before.mostBytes) / 1e6;
    if (full) {
      const p99 = took[Math.floor(took.length * 0.99)] ?? 0;
      console.log(
        `${attack}: ${took.length} calls, p99 ${p99.toFixed(0)} ms, memory ${growth.toFixed(0)} MB more, ` +
          `loop p99 ${after.loopP99Ms.toFixed(0)} ms, refused ${JSON.stringify(after.refused)}`,
      );
    }
    expect(took.length).toBeGreaterThan(1);
    // A hundred bombs of 4 MiB on a connection are open at once, and the collector comes later.
    expect(growth).toBeLessThan(1_000);
    await expect.poll(async () => (await ask()).connections, { timeout: 10_000 }).toBe(0);
  },
);
