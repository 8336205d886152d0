import { parseArgs } from "node:util";
import { runChaos } from "./chaos.ts";
import { dieEverywhere } from "./points.ts";
import { failures, pointFailures, printedChaos, printedPoints } from "./report.ts";

const usage = `npm run chaos -- [--seconds N] [--seed N] [--json]
npm run chaos -- --points [--rounds N] [--seed N] [--json]
  Kills processes of a whole shop under customers, then proves that nothing was lost, doubled or
  oversold.
  --seconds  how long there is trouble (60)
  --points   instead, a process dies at each of its named places, whatever else is well
  --rounds   how often at each (3)
  --seed     decides what goes wrong; the same seed, the same plan (any)
  --json     print the report as one JSON object`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    points: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [seconds, rounds, seed] = [values.seconds, values.rounds, values.seed].map(Number);
const wrong = !(seconds! >= 1) || !(rounds! >= 1) || !Number.isSafeInteger(seed);
if (values.help || wrong) {
  console.log(usage);
  process.exit(values.help ? 0 : 1);
}

const report = (line: string) => console.error(line);
const print = (result: unknown, text: string, failed: string[]): never => {
  const json = JSON.stringify(result, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  console.log(values.json ? json : text);
  process.exit(failed.length > 0 ? 1 : 0);
};
if (values.points) {
  const result = await dieEverywhere({ rounds: rounds!, oneByOne: true, seed: seed!, report });
  print(result, printedPoints(result), pointFailures(result));
} else {
  const result = await runChaos({ seconds: seconds!, seed: seed!, report });
  print(result, printedChaos(result), failures(result));
}
