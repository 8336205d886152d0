import { execFile, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { once } from "node:events";
import { projectDirectory } from "@emporium/local";
import { benches } from "../benches.js";
import { chart } from "./chart.js";
import { page } from "./page.js";
import { load, type Results, type Run, thisMachine } from "./results.js";

interface AllOptions {
  quick: boolean;
  progress: (line: string) => void;
}

/** Runs every bench, one after the other, and writes results, page and charts. Returns an exit code. */
export async function benchAll(options: AllOptions): Promise<number> {
  const results = await measureAll(options);
  const docs = join(projectDirectory, "docs");
  const date = results.time.slice(0, 10);
  const files: [string, string][] = [
    [join(projectDirectory, "bench/results", `${date}.json`), JSON.stringify(results)],
    [join(docs, "performance.md"), page(results)],
  ];
  for (const [name, { report }] of Object.entries(results.benches))
    if (report) files.push([join(docs, "performance", `${name}.svg`), chart(name, report.ratios)]);
  for (const [file, content] of files) {
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, content);
    options.progress(`Wrote ${relative(projectDirectory, file)}`);
  }
  const written = files.map(([file]) => file).filter((file) => !file.endsWith(".svg"));
  const prettier = join(projectDirectory, "node_modules/.bin/prettier");
  await promisify(execFile)(prettier, ["--write", ...written], { cwd: projectDirectory });
  return Object.values(results.benches).some(({ failure }) => failure !== undefined) ? 1 : 0;
}

/** What every bench says, each in a process of its own, so that none warms up or pins the next. */
export async function measureAll({ quick, progress }: AllOptions): Promise<Results> {
  const results: Results = {
    time: new Date().toISOString(),
    quick,
    machine: thisMachine(),
    benches: {},
  };
  for (const name of Object.keys(benches)) {
    progress(`# ${name}`);
    const [start, loadBefore] = [performance.now(), load()];
    const outcome = await runBench(name, quick);
    const seconds = Math.round((performance.now() - start) / 1000);
    results.benches[name] = { seconds, loadBefore, loadAfter: load(), ...outcome };
    progress(outcome.failure ?? `# ${name} took ${seconds} s`);
  }
  return results;
}

async function runBench(name: string, quick: boolean): Promise<Pick<Run, "report" | "failure">> {
  const program = join(import.meta.dirname, "../bench.js");
  const options = quick ? ["--quick"] : [];
  const child = spawn(process.execPath, [program, name, "--json", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (code === 0) return { report: JSON.parse(printed) as NonNullable<Run["report"]> };
  return { failure: `${name} could not be measured: it ended with code ${code}` };
}
