import { setTimeout as delay } from "node:timers/promises";
import type { Shop } from "@emporium/local";

/** Milliseconds between two kills. */
const PAUSE_MS = 5_000;

/** Kills one server after the other, of those that there are several of, and starts it again. */
export async function killServers(
  shop: Shop,
  signal: AbortSignal,
  report: (line: string) => void,
): Promise<number> {
  let kills = 0;
  try {
    for (;;)
      for (const replica of shop.replicas) {
        await delay(PAUSE_MS, undefined, { signal });
        report(`Killing ${replica.label}`);
        const lost = replica.lost.catch(() => undefined);
        process.kill(replica.pid, "SIGKILL");
        await lost;
        await replica.start();
        kills += 1;
      }
  } catch (error) {
    if (!signal.aborted) throw error;
    return kills;
  }
}
