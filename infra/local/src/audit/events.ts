import type { Source } from "@emporium/events";
import { type ServiceName, serviceNames } from "../shop/services.js";
import type { Differences } from "./differences.js";
import { eachService, type EventTables, type ShopTables } from "./read.js";

/** What a service has published, and what its consumers have taken in. */
export interface EventTotals {
  published: number;
  consumed: number;
}

/** Who takes in whose events. */
const CONSUMERS: { service: ServiceName; consumer: string; from: Source }[] = [
  { service: "inventory", consumer: "inventory-returned-goods", from: "orders" },
  { service: "checkout", consumer: "checkout-refunds", from: "orders" },
];

/**
 * Holds what was published against what was taken in: versions without a gap, an empty outbox, every
 * consumer at the end of every aggregate, no dead letter.
 */
export function checkEvents(
  { events }: Pick<ShopTables, "events">,
  letters: ReadonlyMap<string, number>,
  differences: Differences,
): Record<ServiceName, EventTotals> {
  for (const name of serviceNames) checkOutbox(name, events[name], differences);
  for (const { service, consumer, from } of CONSUMERS) {
    const key = `${from}:${consumer}`;
    const behind = eventsBehind(events[from], events[service], key);
    differences.compare(`events of ${from} that ${consumer} has not taken in`, 0n, behind);
    const buried = events[service].buried.get(key) ?? 0n;
    differences.compare(`events that ${consumer} gave up`, 0n, buried);
    differences.compare(`dead letters of ${consumer}`, 0, letters.get(consumer) ?? 0);
  }
  return eachService((name) => ({
    published: Number(sumOf(events[name].published.map((row) => row.events - row.waiting))),
    consumed: Number(sumOf(events[name].positions.map(({ version }) => version))),
  }));
}

/** Rows older than the outbox' retention are gone, so an aggregate may begin with a later version. */
function checkOutbox(name: ServiceName, tables: EventTables, differences: Differences): void {
  const waiting = sumOf(tables.published.map((row) => row.waiting));
  differences.compare(`events that wait in the outbox of ${name}`, 0n, waiting);
  for (const { aggregate, events, first, last } of tables.published)
    differences.compare(`events ${first} to ${last} of ${aggregate}`, last - first + 1n, events);
}

function eventsBehind(source: EventTables, target: EventTables, consumer: string): bigint {
  const taken = new Map(
    target.positions
      .filter((row) => row.consumer === consumer)
      .map(({ aggregate, version }) => [aggregate, version]),
  );
  const behind = source.published.map(({ aggregate, last }) => last - (taken.get(aggregate) ?? 0n));
  return sumOf(behind.filter((missing) => missing > 0n));
}

function sumOf(values: bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
