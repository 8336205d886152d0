import type { JsonValue } from "@bufbuild/protobuf";
import type { DeadLetter } from "@emporium/events";
import { readable } from "./readable.js";

/** A dead letter without its payload, for people and for programs. */
export interface LetterSummary {
  eventId: string;
  reason: string;
  source: string;
  consumer: string;
  subject: string;
  /** When it became a dead letter, RFC 3339. */
  time: string;
  ageSeconds: number;
  attempts: number;
  error: string;
}

/** All of a dead letter that may be shown. */
export interface LetterDetails extends LetterSummary {
  type: string | undefined;
  aggregateId: string | undefined;
  version: string | undefined;
  eventTime: string | undefined;
  /** ProtoJSON without what the contract redacts; `undefined` where the bytes cannot be read. */
  payload: JsonValue | undefined;
  payloadBytes: number;
}

export function summarize(letter: DeadLetter, now = new Date()): LetterSummary {
  const { eventId, reason, source, consumer, subject, time, attempts, error } = letter;
  return {
    eventId,
    reason,
    source,
    consumer,
    subject,
    time: time.toISOString(),
    ageSeconds: Math.max(0, Math.round((now.getTime() - time.getTime()) / 1000)),
    attempts,
    error,
  };
}

export function describe(letter: DeadLetter, now = new Date()): LetterDetails {
  const { meta, payload } = letter;
  return {
    ...summarize(letter, now),
    type: meta?.type,
    aggregateId: meta?.aggregateId,
    version: meta && String(meta.version),
    eventTime: meta?.time.toISOString(),
    payload: meta && readable(meta.type, payload),
    payloadBytes: payload.byteLength,
  };
}

export function printedList(letters: LetterSummary[]): string {
  if (letters.length === 0) return "No dead letters";
  return letters
    .map(
      ({ eventId, reason, source, consumer, subject, ageSeconds, error }) =>
        `${eventId}  ${reason}  ${age(ageSeconds)} old\n` +
        `  ${source} -> ${consumer}  ${subject}\n  ${error}`,
    )
    .join("\n");
}

export function printedLetter({ payload, payloadBytes, ...letter }: LetterDetails): string {
  const rows = Object.entries(letter).map(([name, value]) => `${name.padEnd(12)} ${value ?? ""}`);
  const text = payload === undefined ? `${payloadBytes} bytes that cannot be read` : undefined;
  return [...rows, "", text ?? JSON.stringify(payload, null, 2)].join("\n");
}

function age(seconds: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ] as const;
  const [size, unit] = units.find(([atLeast]) => seconds >= atLeast) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}
