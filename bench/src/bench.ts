import { parseArgs } from "node:util";
import { benchAll } from "./all/all.js";
import { compareWithCommitted } from "./all/compare.js";
import { benches } from "./benches.js";

const usage = `npm run bench -- <name> [--json] [--quick] [--rounds n] [--seconds n]
  ${Object.keys(benches).join(", ")}
npm run bench -- growth --part=orders-table   one table of it
npm run bench -- all [--quick]      every one, into bench/results and docs/performance.md
npm run bench -- compare [--quick]  every one, beside the results that were committed last`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    part: { type: "string" },
    quick: { type: "boolean" },
    rounds: { type: "string" },
    seconds: { type: "string" },
  },
});
const [name = ""] = positionals;
const quick = values.quick ?? false;
const progress = (line: string) => void process.stderr.write(`${line}\n`);
if (name === "all") process.exitCode = await benchAll({ quick, progress });
else if (name === "compare") process.exitCode = await compareWithCommitted({ quick, progress });
else {
  const bench = benches[name]?.bench;
  if (!bench) {
    console.error(usage);
    process.exit(1);
  }
  const report = await bench({
    quick,
    rounds: positive("rounds"),
    seconds: positive("seconds"),
    part: values.part,
    progress,
  });
  console.log(values.json ? JSON.stringify(report.data) : report.text);
}

function positive(option: "rounds" | "seconds"): number | undefined {
  if (values[option] === undefined) return undefined;
  const value = Number(values[option]);
  if (value > 0) return value;
  console.error(`--${option} wants a number above 0`);
  process.exit(1);
}
