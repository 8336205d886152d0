import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { Ratio } from "./ratios.js";

/** The program as `npm run bench` runs it; its servers are processes of what is built. */
async function ratiosOf(...bench: string[]): Promise<Record<string, Ratio>> {
  const program = join(import.meta.dirname, "../dist/bench.js");
  const { stdout } = await promisify(execFile)(process.execPath, [
    program,
    ...bench,
    "--quick",
    "--json",
  ]);
  return (JSON.parse(stdout) as { ratios: Record<string, Ratio> }).ratios;
}

test.concurrent(
  "the reserve bench runs to its end and tells what is wanted",
  async () => {
    const ratios = await ratiosOf("reserve");
    expect(ratios["grouped over interactive, hot product"]?.wanted).toBe(15);
    expect(ratios["grouped over one statement, even mix"]?.wanted).toBe(3);
    expect(ratios["grouped over interactive, December mix"]?.wanted).toBe(4);
    expect(ratios["grouped over one statement, one caller"]?.wanted).toBe(0.9);
    for (const { median } of Object.values(ratios)) expect(median).toBeGreaterThan(0);
  },
  180_000,
);

test.concurrent(
  "the checkout bench runs to its end and tells what is wanted",
  async () => {
    const ratios = await ratiosOf("checkout");
    expect(ratios["checkouts a second, shop over obvious"]?.wanted).toBe(3);
    for (const { median } of Object.values(ratios)) expect(median).toBeGreaterThan(0);
  },
  180_000,
);

test.concurrent(
  "the watchers bench runs to its end with a thousand watchers",
  async () => {
    const ratios = await ratiosOf("watchers");
    expect(Object.keys(ratios)).toContain("delay at the last watcher, 10 watchers over 1,000");
    for (const { median } of Object.values(ratios)) expect(median).toBeGreaterThan(0);
  },
  180_000,
);

test.concurrent.each([
  ["compression", "bytes on the wire, identity over gzip, a stream of all 1559 orders"],
  ["rest", "gRPC over REST on fastify, an order of a stream"],
  ["telemetry", "calls a CPU second, all over none, order unary"],
  ["growth --part=orders-table", "CPU of GetOrder, 1,000 orders over 20,000"],
])(
  "the bench %s runs to its end",
  async (bench, known) => {
    const ratios = await ratiosOf(...bench.split(" "));
    expect(Object.keys(ratios)).toContain(known);
    for (const { median } of Object.values(ratios)) expect(median).toBeGreaterThan(0);
  },
  180_000,
);
