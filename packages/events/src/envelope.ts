import { headers as createHeaders, type MsgHdrs } from "@nats-io/nats-core";

/** What goes with an event's payload. */
export interface EventMeta {
  /** The event's id (UUIDv7), the same however often it is delivered or redriven. */
  readonly id: string;
  /** Full name of the protobuf message. */
  readonly type: string;
  /** CloudEvents source, such as `/emporium/orders`. */
  readonly source: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  /** The aggregate's version after the event, from 1 without gaps. */
  readonly version: bigint;
  /** When it happened. */
  readonly time: Date;
  /** All other headers, such as `traceparent`. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Header names that carry what CloudEvents has no attribute for. */
const VERSION_HEADER = "emporium-version";
const AGGREGATE_TYPE_HEADER = "emporium-aggregate-type";
const NATS_HEADER = /^nats-/i;

/** A message in one of our streams that no relay of ours wrote. */
export class MalformedEventError extends Error {
  override readonly name = "MalformedEventError";
}

/**
 * The event as message headers: CloudEvents 1.0.2 in the binary mode of the NATS protocol binding
 * 1.0.3-wip, where every attribute, `datacontenttype` too, is a header with the prefix `ce-`, its
 * value percent-encoded as in the HTTP binding (section 3.1.3.2).
 * https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md
 */
export function toHeaders(event: EventMeta): MsgHdrs {
  const made = createHeaders();
  const attributes = {
    ...event.headers,
    "ce-specversion": "1.0",
    "ce-id": event.id,
    "ce-type": event.type,
    "ce-source": event.source,
    "ce-subject": event.aggregateId,
    "ce-time": event.time.toISOString(),
    "ce-datacontenttype": "application/protobuf",
    [AGGREGATE_TYPE_HEADER]: event.aggregateType,
    [VERSION_HEADER]: event.version.toString(),
  };
  for (const [name, value] of Object.entries(attributes)) made.set(name, encode(value));
  return made;
}

/** Reads what `toHeaders` wrote; throws a MalformedEventError for anything else. */
export function fromHeaders(headers: MsgHdrs | undefined): EventMeta {
  const rest: Record<string, string> = {};
  for (const [name, values] of headers ?? []) {
    if (!NATS_HEADER.test(name)) rest[name] = decode(values[0] ?? "");
  }
  const take = (name: string): string => {
    const value = rest[name];
    if (value === undefined) throw new MalformedEventError(`the header ${name} is missing`);
    delete rest[name];
    return value;
  };
  const version = take(VERSION_HEADER);
  const time = new Date(take("ce-time"));
  if (!/^[1-9]\d{0,18}$/.test(version)) {
    throw new MalformedEventError(`${VERSION_HEADER} is ${JSON.stringify(version)}`);
  }
  if (Number.isNaN(time.getTime())) throw new MalformedEventError("ce-time is not a time");
  take("ce-specversion");
  take("ce-datacontenttype");
  return {
    id: take("ce-id"),
    type: take("ce-type"),
    source: take("ce-source"),
    aggregateType: take(AGGREGATE_TYPE_HEADER),
    aggregateId: take("ce-subject"),
    version: BigInt(version),
    time,
    headers: rest,
  };
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md */
function encode(value: string): string {
  return value.toWellFormed().replace(/[^\x21-\x7e]|["%]/gu, encodeURIComponent);
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
