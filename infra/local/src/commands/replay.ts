import { join } from "node:path";
import { parseArgs } from "node:util";
import { ConfigurationError } from "@emporium/runtime";
import { SingleBar } from "cli-progress";
import { projectDirectory } from "../project.js";
import { printed } from "../replay/report.js";
import { runReplay } from "../replay/run.js";
import { bootShop } from "../shop/shop.js";
import { runCommand, say } from "./run-command.js";

const usage = `npm run replay -- [--file PATH] [--concurrency N] [--days N] [--kill] [--json]
  Sends the real orders of December 2010 through a fresh shop and proves its books.
  --file         a CSV or CSV.gz with the same columns
  --concurrency  orders under way at once (32)
  --days         only the first days of the file (all)
  --kill         meanwhile kills a random process every 3 s; the books must be the same
  --json         print the report as one JSON object`;

const options = {
  file: { type: "string", default: join(projectDirectory, "data/online-retail-2010-12.csv.gz") },
  concurrency: { type: "string", default: "32" },
  days: { type: "string", default: "10000" },
  kill: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** The command behind `npm run replay`. */
await runCommand(usage, async () => {
  const { values } = parseArgs({ options });
  const [concurrency, days] = [
    wholeNumber("--concurrency", values.concurrency, 1_000),
    wholeNumber("--days", values.days, 100_000),
  ];
  say("A fresh shop opens");
  await using shop = await bootShop({
    processes: true,
    // Those who call a killed one have much to say.
    logLevel: values.kill ? "silent" : "warn",
    ...(values.kill && { replicas: { inventory: 2, orders: 2, checkout: 2 } }),
    onLine: (_, line) => say(line),
  });
  const bar = new SingleBar({
    format: "{bar} {value} of {total} orders and cancellations, {duration} s",
    noTTYOutput: true,
    notTTYSchedule: 5_000,
  });
  const replaying = runReplay({
    file: values.file,
    concurrency,
    days,
    shop,
    ...(values.kill && { kill: shop.replicas }),
    progress: (done, total) => (done === 0 ? bar.start(total, 0) : bar.update(done)),
  });
  const report = await Promise.race([shop.lost, replaying]).finally(() => bar.stop());
  console.log(values.json ? JSON.stringify(report) : printed(report));
  if (!report.proof.holds) throw new Error("The books do not balance");
});

function wholeNumber(option: string, given: string, most: number): number {
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new ConfigurationError(`${option} is wrong: expected a whole number from 1 to ${most}`);
}
