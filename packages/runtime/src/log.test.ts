import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** What a program with a log called `log` has written when it has ended. */
function linesOf(program: string): string[] {
  const logging = `import { createLogger } from "${import.meta.dirname}/log.ts";
    const log = createLogger({ name: "trial", level: "info" });`;
  const { stdout } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", `${logging} ${program}`],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, NODE_OPTIONS: "" },
    },
  );
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
}

/** The lines of a process that was ended may be in another order. */
const inOrder = (lines: string[]) => lines.toSorted((one, other) => Number(one) - Number(other));

test("every line is written once, however the process ends", () => {
  const many = `for (let i = 0; i < 600; i++) log.info(String(i));`;
  const all = Array.from({ length: 600 }, (_, i) => String(i));
  expect(linesOf(many)).toEqual(all);
  expect(inOrder(linesOf(`${many} process.exit(0);`))).toEqual(all);
  const caught = `process.on("uncaughtException", () => process.exit(0));`;
  expect(inOrder(linesOf(`${caught} ${many} throw 1;`))).toEqual(all);
});

test("a line is written while the process goes on", () => {
  const kill = `setTimeout(() => process.kill(process.pid, "SIGKILL"), 2_000);`;
  expect(linesOf(`log.info("early"); ${kill}`)).toEqual(["early"]);
});
