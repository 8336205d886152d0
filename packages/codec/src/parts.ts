import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import type { Bounds } from "./bounds.js";

/** google.protobuf.FeatureSet.FieldPresence. */
export const IMPLICIT = 2;
export const REQUIRED = 3;

/** What the source of a function may refer to. */
export interface Parts {
  /** An empty message as protobuf-es makes it. */
  blank: Message;
  /** Makes a value visible; returns the name it has in the source. */
  constant: (value: unknown) => string;
  /** The same for the functions of another type. */
  codec: (desc: DescMessage) => string;
  /** What a bounded reader accepts; without it, a reader accepts any size. */
  bounds?: Bounds | undefined;
}

export function tagOf(number: number, wireType: number): number {
  return ((number << 3) | wireType) >>> 0;
}

/** Whether protobuf-es keeps the field as JSON: google.protobuf.Struct, outside of its own file. */
export function isJson(field: DescField): boolean {
  return (
    field.message?.typeName === "google.protobuf.Struct" &&
    field.parent.typeName !== "google.protobuf.Value"
  );
}

/** The type of the field as if it had no other, for what protobuf-es does with the field. */
export function alone(field: DescField): DescMessage {
  return { ...field.parent, fields: [field] };
}

/**
 * Whether functions are compiled for this type. A descriptor may come from anywhere and its names
 * become source, so they must be names that a compiler of proto files gives, and none that every
 * object has.
 */
export function isCompilable({ fields, members }: DescMessage): boolean {
  const numbers = new Set(fields.map((field) => field.number));
  const names = [...fields, ...members].map((member) => member.localName);
  return (
    numbers.size === fields.length &&
    fields.every(({ number }) => number > 0 && number < 2 ** 29) &&
    names.every((name) => /^[A-Za-z_][\w$]*$/.test(name) && !(name in Object.prototype)) &&
    fields.every(({ message }) => !message || !isWrapperDesc(message) || isPlain(message.fields[0]))
  );
}

function isPlain(field: DescField): boolean {
  return field.localName === "value" && field.presence === IMPLICIT && field.fieldKind === "scalar";
}
