import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@emporium/grpc";
import { openClients } from "./clients.js";
import { purchase, unitsOnHand } from "./purchase.js";

/**
 * Calls without a pause, until SIGTERM: so many a second as `RATE` says, or as the shop serves where
 * that is less; every tenth is a purchase, the others are reads. Prints what became of them so far,
 * twice a second, as a line of JSON.
 */
const rate = Number(process.env["RATE"] ?? 50);

/** Calls at once: a shop that others leave little processor time is called less often, and not buried. */
const AT_ONCE = 6;

const report = {
  sent: 0,
  succeeded: 0,
  purchases: 0,
  failures: [] as string[],
  /** Calls answered, by service and by the address of the replica. */
  answers: {} as Record<string, Record<string, number>>,
};

using clients = await openClients("load-test", {
  attemptEnded: ({ method }, { peer, code }) => {
    if (code !== "OK") return;
    const peers = (report.answers[method.parent.name] ??= {});
    peers[peer] = (peers[peer] ?? 0) + 1;
  },
});

let orderId = await purchase(clients);
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
const printing = setInterval(() => console.log(JSON.stringify(report)), 500);

const running = new Set<Promise<void>>();
let due = performance.now();
while (!stopping.signal.aborted) {
  await delay(due - performance.now());
  while (running.size >= AT_ONCE) await Promise.race(running);
  due = Math.max(due, performance.now()) + 1_000 / rate;
  const call = one(report.sent++).finally(() => running.delete(call));
  running.add(call);
}
await Promise.all(running);
clearInterval(printing);
console.log(JSON.stringify(report));

async function one(number: number): Promise<void> {
  const kind = number % 10;
  const name = kind === 0 ? "CompleteOrder" : kind < 5 ? "CheckStock" : "GetOrder";
  try {
    if (kind === 0) {
      orderId = await purchase(clients);
      report.purchases++;
    } else if (kind < 5) await unitsOnHand(clients);
    else await clients.orders.getOrder({ orderId });
    report.succeeded++;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    report.failures.push(`${new Date().toISOString()} ${name} ${Code[code]}: ${rawMessage}`);
  }
}
