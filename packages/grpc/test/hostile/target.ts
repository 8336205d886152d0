import { monitorEventLoopDelay } from "node:perf_hooks";
import { handlers, startTestServer } from "../../src/testing.js";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { usedHeap } from "../known/heap.js";

// The server under attack, as a process of its own. It tells its address, and, whenever it is asked,
// how much memory it has taken at most and what it has refused.

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
const { server, address } = await startTestServer(
  { log: { error: () => undefined } },
  handlers(TrialService, {
    ask: ({ text }) => ({ text }),
    async write(notes) {
      for await (const _ of notes);
      return {};
    },
  }),
);
let most = 0;
setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 50);
process.on("message", () => {
  process.send?.({
    mostBytes: most,
    heapBytes: usedHeap(),
    loopP99Ms: delay.percentile(99) / 1e6,
    connections: server.connections,
    refused: Object.fromEntries(server.refusals.counts),
  });
  most = 0;
  delay.reset();
});
process.on("disconnect", () => process.exit());
process.send?.({ address });
