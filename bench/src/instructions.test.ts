import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { Instructions, noInstructions } from "./instructions.js";

/** A counter of the kernel's own, which machines without those of a processor have too. */
const SOFTWARE = "task-clock:u";

test("what a process does while it is counted is counted, and nothing before", async ({ skip }) => {
  const why = noInstructions(SOFTWARE);
  if (why) return skip(why);
  const work = `process.on("message", () => {
    for (let turn = 0; turn < 5e8; turn++);
    process.send("done");
  }); process.send("ready");`;
  const worker = spawn(process.execPath, ["-e", work], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  try {
    await once(worker, "message");
    const idle = await Instructions.of(worker.pid!, SOFTWARE);
    const nothing = await idle.stop();
    const busy = await Instructions.of(worker.pid!, SOFTWARE);
    worker.send("work");
    await once(worker, "message");
    expect(await busy.stop()).toBeGreaterThan(2 * nothing);
  } finally {
    worker.kill("SIGKILL");
  }
});

test("a machine that counts none is told apart from one that counts", () => {
  expect(noInstructions("no-such-event")).toMatch(/perf/);
});
