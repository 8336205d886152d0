import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { faultPointsFrom } from "./fault-points.js";

const names = ["after-reserve", "before-capture", "after-capture", "relay.claimed"];

test("a place that does not exist, or a fault that is not known, is refused", () => {
  for (const text of ["after-lunch=kill", "after-reserve", "after-reserve=explode", "folder="])
    expect(() => faultPointsFrom(text, names)).toThrow(`"${text}" names none of them`);
});

test("the process sends itself the signal, at the passing that was named", async () => {
  const place = faultPointsFrom("before-capture=end@2, after-reserve=kill", names);
  let ended = 0;
  const count = () => (ended += 1);
  process.on("SIGTERM", count);
  try {
    for (let passing = 1; passing <= 3; passing++) await place("before-capture");
    await place("after-capture");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ended).toBe(1);
  } finally {
    process.off("SIGTERM", count);
  }
});

test("every passing of a place is counted, and a file makes one process die there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "emporium-faults-"));
  const program = `
    import { faultPointsFrom } from ${JSON.stringify(join(import.meta.dirname, "fault-points.ts"))};
    const place = faultPointsFrom("folder=${folder}", ["relay.claimed"]);
    for (let passing = 1; passing <= 3; passing++) place("relay.claimed"), place("elsewhere");`;
  const run = () => spawnSync(process.execPath, ["--input-type=module", "-e", program]);
  expect(run().status).toBe(0);
  writeFileSync(join(folder, "relay.claimed.kill"), "");
  expect(run().signal).toBe("SIGKILL");
  expect(run().status).toBe(0);
  expect(readdirSync(folder)).toEqual(["relay.claimed.hits"]);
  expect(statSync(join(folder, "relay.claimed.hits")).size).toBe(3 + 1 + 3);
  rmSync(folder, { recursive: true });
});
