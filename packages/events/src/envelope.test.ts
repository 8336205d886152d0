import { headers } from "@nats-io/nats-core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHeaders, MalformedEventError, toHeaders, type EventMeta } from "./envelope.js";

const event: EventMeta = {
  id: "0199f6a2-0000-7000-8000-000000000001",
  type: "emporium.orders.v1.OrderPlaced",
  source: "/emporium/orders",
  aggregateType: "ord",
  aggregateId: "ord_01jd5y8m6ae0a9p2kq4w7x3v5z",
  version: 3n,
  time: new Date("2026-11-23T10:00:00.250Z"),
  headers: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
};

test("an event's headers are CloudEvents attributes, and what came with it", () => {
  const made = Object.fromEntries([...toHeaders(event)].map(([name, [value]]) => [name, value]));
  expect(made).toEqual({
    "ce-specversion": "1.0",
    "ce-id": event.id,
    "ce-type": event.type,
    "ce-source": event.source,
    "ce-subject": event.aggregateId,
    "ce-time": "2026-11-23T10:00:00.250Z",
    "ce-datacontenttype": "application/protobuf",
    "emporium-aggregate-type": "ord",
    "emporium-version": "3",
    traceparent: event.headers["traceparent"],
  });
});

test("any text goes through headers and comes back", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 });
  fc.assert(
    fc.property(text, text, (aggregateId, value) => {
      const sent = { ...event, aggregateId, headers: { note: value } };
      expect(fromHeaders(toHeaders(sent))).toEqual(sent);
    }),
  );
});

test.each([
  ["no headers at all", undefined],
  ["no version", withHeader("emporium-version", undefined)],
  ["a version that is no number", withHeader("emporium-version", "one")],
  ["version 0", withHeader("emporium-version", "0")],
  ["a time that is none", withHeader("ce-time", "yesterday")],
])("a message with %s is malformed", (_, message) => {
  expect(() => fromHeaders(message)).toThrow(MalformedEventError);
});

function withHeader(name: string, value: string | undefined) {
  const changed = headers();
  for (const [key, [text]] of toHeaders(event)) if (key !== name) changed.set(key, text!);
  if (value !== undefined) changed.set(name, value);
  return changed;
}
