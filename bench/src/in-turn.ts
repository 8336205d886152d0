import type { Round } from "./rpc/load.js";
import type { Measure, ServerProcess } from "./server-process.js";

/** A server that runs, and how a round of calls to it is made. */
export interface Variant {
  server: ServerProcess;
  call: (port: number) => Promise<Round>;
}

/**
 * Measures variants one after the other in each round, so that what slows the machine slows all.
 * One round before the others warms up.
 *
 * @example
 * const { none, log } = await inTurn({ none: { server, call }, log: { server: other, call } }, 7, say);
 */
export async function inTurn<Name extends string>(
  variants: Record<Name, Variant>,
  rounds: number,
  told: (round: string) => void,
): Promise<Record<Name, Measure[]>> {
  const names = Object.keys(variants) as Name[];
  const measures = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    Measure[]
  >;
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const { server, call } = variants[name];
      const measured = await server.measure(call);
      if (round > 0) measures[name].push(measured);
    }
    told(round === 0 ? "warm" : `round ${round} of ${rounds}`);
  }
  return measures;
}
