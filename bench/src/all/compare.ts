import { projectDirectory } from "@emporium/local";
import type { Ratio } from "../ratios.js";
import type { Measure } from "../server-process.js";
import { measureAll } from "./all.js";
import { committedResults, type Results } from "./results.js";

/**
 * Share of the committed median under which a ratio has fallen, and that in each of its rounds: on a
 * crowded machine the median of a few short ones was seen at 0.4 with nothing changed.
 */
const LEAST = 0.5;

/** How many times the instructions for the same operation are more than the same: they vary little. */
const MOST_INSTRUCTIONS = 1.25;

/** A ratio by CPU time, or instructions for an operation, then and now. */
interface Compared {
  name: string;
  before: number;
  /** `undefined` where it was not measured this time, as without Go. */
  now: number | undefined;
  fell: boolean;
}

/**
 * Holds ratios by CPU time against earlier ones. Rates and delays are left out: they say more of a
 * machine's other work than of this project's. A ratio that is new has nothing to fall from.
 */
export function compare(before: Results, now: Results): Compared[] {
  return [...compareInstructions(before, now), ...compareRatios(before, now)];
}

/** Of what was counted both times: a machine without counters has nothing to compare. */
function compareInstructions(before: Results, now: Results): Compared[] {
  const then = instructionsOf(before);
  return [...instructionsOf(now)].flatMap(([name, count]) => {
    const known = then.get(name);
    if (known === undefined) return [];
    return [{ name, before: known, now: count, fell: count > MOST_INSTRUCTIONS * known }];
  });
}

function instructionsOf({ benches }: Results): Map<string, number> {
  const figures = (benches["rpc"]?.report?.["figures"] ?? {}) as Record<string, Partial<Measure>>;
  return new Map(
    Object.entries(figures).flatMap(([name, { instructions }]) =>
      instructions === undefined ? [] : [[`rpc: instructions of ${name}`, instructions]],
    ),
  );
}

function compareRatios(before: Results, now: Results): Compared[] {
  return Object.entries(before.benches).flatMap(([bench, { report }]) =>
    Object.entries(report?.ratios ?? {})
      .filter(([, { cpu }]) => cpu)
      .map(([name, { median }]: [string, Ratio]) => {
        const found = now.benches[bench]?.report?.ratios[name];
        const fell = found !== undefined && found.max < LEAST * median;
        return { name: `${bench}: ${name}`, before: median, now: found?.median, fell };
      }),
  );
}

/** Measures everything and compares it with what was committed last. Returns an exit code. */
export async function compareWithCommitted(options: {
  quick: boolean;
  progress: (line: string) => void;
}): Promise<number> {
  const committed = committedResults(projectDirectory);
  if (!committed) {
    console.error("No results are committed yet: npm run bench -- all writes them");
    return 1;
  }
  const now = await measureAll(options);
  const all = compare(committed.results, now);
  for (const { name, before, now: found, fell } of all)
    console.log(
      `${fell ? "FELL" : "    "} ${name}: ${before.toFixed(2)}, now ${found?.toFixed(2) ?? "not measured"}`,
    );
  const fallen = all.filter(({ fell }) => fell).length;
  const failed = Object.values(now.benches).some(({ failure }) => failure !== undefined);
  console.log(
    `${fallen} of ${all.length} figures have fallen: by CPU time in each round under half of ${committed.file}, or a quarter more instructions`,
  );
  return fallen > 0 || failed ? 1 : 0;
}
