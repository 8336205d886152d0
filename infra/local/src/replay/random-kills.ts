import { setTimeout as wait } from "node:timers/promises";
import type { Server } from "../guard/guarded-server.js";

/** Kills servers of a shop until it is disposed of; then all of them run. */
export interface RandomKills extends AsyncDisposable {
  /** How often one was killed. */
  count: number;
}

/**
 * Kills one of the servers every so many milliseconds, as a power cut would (SIGKILL), and starts it
 * again.
 *
 * @example
 * await using kills = killAtRandom(shop.replicas, 3_000);
 */
export function killAtRandom(servers: readonly Server[], everyMs: number): RandomKills {
  const ending = new AbortController();
  const kills = { count: 0 };
  const run = async () => {
    while (!ending.signal.aborted) {
      await wait(everyMs, undefined, { signal: ending.signal }).catch(() => undefined);
      const victim = servers[Math.floor(Math.random() * servers.length)];
      if (ending.signal.aborted || !victim?.pid) continue;
      const gone = victim.lost.catch(() => undefined);
      process.kill(victim.pid, "SIGKILL");
      kills.count += 1;
      await gone;
      await victim.start();
    }
  };
  const running = servers.length > 0 ? run() : undefined;
  return Object.assign(kills, {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  });
}
