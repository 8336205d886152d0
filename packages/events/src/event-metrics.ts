import { type Attributes, type BatchObservableResult, metrics } from "@opentelemetry/api";
import { DEAD_REASONS, type DeadReason } from "./dead-letters.js";
import type { EventMeta } from "./envelope.js";
import type { AnyDatabase } from "./lanes.js";

/** Rows that are counted; past it the numbers stand still, and the count stays cheap. */
const MOST_COUNTED = 100_000;
const LOOK_LIMIT_MS = 2_000;
/** Seconds; events are told of in milliseconds, or waited while something was away. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];

const WAITING = `
SELECT count(*)::int AS rows, extract(epoch FROM now() - min(create_time))::float8 AS seconds
FROM (SELECT create_time FROM outbox WHERE publish_time IS NULL LIMIT ${MOST_COUNTED}) AS waiting`;

/**
 * Measures a service's events, by the names of OpenTelemetry's conventions for messaging where they have
 * one. Times are in seconds. Without an SDK it costs next to nothing.
 */
export class EventMetrics {
  readonly #meter = metrics.getMeter("@emporium/events");
  readonly #sent = this.#meter.createCounter("messaging.client.sent.messages", {
    unit: "{message}",
    description: "Events that the stream has acknowledged, and that it did not take",
  });
  readonly #delay = this.#meter.createHistogram("emporium.event.delay", {
    unit: "s",
    description: "From when an event happened until a consumer had taken it in",
    advice: { explicitBucketBoundaries: BUCKETS },
  });
  readonly #processed = this.#meter.createHistogram("messaging.process.duration", {
    unit: "s",
    description: "Time that a consumer took for one delivery of an event",
    advice: { explicitBucketBoundaries: BUCKETS },
  });
  readonly #dead = this.#meter.createCounter("emporium.event.dead_letters", {
    unit: "{message}",
    description: "Events that became dead letters",
  });

  sent(stream: string, error?: unknown): void {
    this.#sent.add(1, {
      ...described("publish", stream),
      ...(error !== undefined && { "error.type": error instanceof Error ? error.name : "_OTHER" }),
    });
  }

  /** A delivery is over; `outcome` says whether it was taken in (`done`) or what else. */
  processed(
    { time }: EventMeta,
    by: { stream: string; consumer: string; outcome: string; startedAt: number },
  ): void {
    const { stream, consumer, outcome, startedAt } = by;
    const group = { ...described("process", stream), "messaging.consumer.group.name": consumer };
    const attributes = { ...group, "emporium.event.outcome": outcome };
    this.#processed.record((performance.now() - startedAt) / 1000, attributes);
    if (outcome === "done") this.#delay.record(Math.max(0, Date.now() - +time) / 1000, group);
  }

  /** Counts none: whoever looks for an increase would not see the first one come from nothing. */
  noDeadLetters(stream: string, consumer: string): void {
    for (const reason of DEAD_REASONS) this.deadLetter(stream, consumer, reason, 0);
  }

  deadLetter(stream: string, consumer: string, reason: DeadReason, count = 1): void {
    this.#dead.add(count, {
      ...described("process", stream),
      "messaging.consumer.group.name": consumer,
      reason,
    });
  }

  /** Tells, as often as metrics are taken, how much waits in the outbox and how long it has. */
  observeOutbox(database: AnyDatabase): Disposable {
    const waiting = this.#meter.createObservableGauge("emporium.outbox.waiting", {
      unit: "{message}",
      description: `Events that wait for their publication, ${MOST_COUNTED} at most`,
    });
    const age = this.#meter.createObservableGauge("emporium.outbox.age", {
      unit: "s",
      description: "For how long the oldest of them has waited",
    });
    const look = async (result: BatchObservableResult): Promise<void> => {
      type Waiting = { rows: number; seconds: number | null };
      const limit = AbortSignal.timeout(LOOK_LIMIT_MS);
      const found = await database.query<Waiting>(limit, WAITING).catch(() => []);
      for (const { rows, seconds } of found) {
        result.observe(waiting, rows);
        result.observe(age, seconds ?? 0);
      }
    };
    const instruments = [waiting, age];
    this.#meter.addBatchObservableCallback(look, instruments);
    return {
      [Symbol.dispose]: () => this.#meter.removeBatchObservableCallback(look, instruments),
    };
  }
}

function described(operation: string, stream: string): Attributes {
  return {
    "messaging.system": "nats",
    "messaging.operation.name": operation,
    "messaging.destination.name": stream,
  };
}
