import { setTimeout as wait } from "node:timers/promises";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import type { Shop } from "@emporium/local";
import { CALLER } from "./clients.ts";

const PAUSE_MS = 100;

/** Milliseconds after which a watcher leaves, to go on at another replica. */
const STAY_MS = 3_000;

/** What a watcher saw. */
export interface Watched {
  /** Levels that it was told. */
  levels: number;
  /** How often it came back, to whatever replica. */
  reconnects: number;
  /** Revisions that fell. */
  wrong: string[];
}

/** Watches all stock with so many watchers until the signal fires. */
export async function watchStock(shop: Shop, count: number, signal: AbortSignal): Promise<Watched> {
  const all = await Promise.all(Array.from({ length: count }, () => watch(shop, signal)));
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    levels: sum(all.map(({ levels }) => levels)),
    reconnects: sum(all.map(({ reconnects }) => reconnects)),
    wrong: all.flatMap(({ wrong }) => wrong),
  };
}

/**
 * Leaves again and again and comes back, to whatever replica, with its resume token: whoever is told
 * of revision 7 may never be told of revision 6 any more.
 */
async function watch(shop: Shop, signal: AbortSignal): Promise<Watched> {
  const seen: Watched = { levels: 0, reconnects: -1, wrong: [] };
  const revisions = new Map<string, bigint>();
  let resumeToken = "";
  while (!signal.aborted) {
    seen.reconnects += 1;
    // A connection of its own each time: round robin begins anywhere.
    using inventory = await shop.client(InventoryService, CALLER);
    const stay = AbortSignal.any([signal, AbortSignal.timeout(STAY_MS)]);
    try {
      for await (const message of inventory.watchStock({ resumeToken }, { signal: stay })) {
        for (const { sku, revision } of message.levels) {
          const last = revisions.get(sku) ?? -1n;
          if (revision < last) seen.wrong.push(`${sku} fell from ${last} to ${revision}`);
          revisions.set(sku, revision);
          seen.levels += 1;
        }
        if (message.resumeToken) ({ resumeToken } = message);
      }
    } catch {
      // The replica is gone, or the stay is over.
    }
    if (!stay.aborted) await wait(PAUSE_MS);
  }
  return seen;
}
