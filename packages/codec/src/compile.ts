import { endianness } from "node:os";
import {
  create,
  mergeFromBinary,
  protoInt64,
  toBinary,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import type { Bounds } from "./bounds.js";
import { findExcess } from "./excess.js";
import { isCompilable, type Parts } from "./parts.js";
import { readerSource } from "./reader.js";
import * as wire from "./wire.js";
import { writerSource } from "./writer.js";

/** The functions of one message type, as compiled code calls them. */
export interface Codec {
  /** Makes an empty message. */
  Blank: new () => Message;
  /** Writes from `pos` on; returns the position behind the message. */
  write: (m: Message, buf: Buffer, pos: number) => number;
  /** Adds what stands from `pos` to `end`, or to the tag `group`, to the message. */
  read: (m: Message, buf: Buffer, pos: number, end: number, depth: number, group: number) => number;
}

/** Runs the body of a function that sees the scope. Throws where Node was told to allow none. */
function run(scope: object, source: string): unknown {
  // What a descriptor has in it passed isCompilable or JSON.stringify.
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
  return new Function(...Object.keys(scope), `"use strict"; ${source}`)(...Object.values(scope));
}

const canCompile = ((): boolean => {
  try {
    run({}, "");
    return endianness() === "LE" && protoInt64.supported;
  } catch {
    return false; // --disallow-code-generation-from-strings
  }
})();

/** What compiled functions see beside their constants. */
const scope = {
  ...wire,
  leave,
  adopt,
  short: canCompile ? Array.from({ length: 25 }, (_, length) => shortText(length)) : [],
};

/** A function that reads so many characters of ASCII, and returns undefined for others. */
function shortText(length: number): unknown {
  if (length === 0) return () => "";
  const codes = Array.from({ length }, (_, i) => `c${i}`);
  return run(
    {},
    `return function short(buf, pos) {
      const ${codes.map((code, i) => `${code} = buf[pos + ${i}]`).join(", ")};
      if ((${codes.join(" | ")}) < 128) return String.fromCharCode(${codes.join(", ")});
    };`,
  );
}

/** Has protobuf-es write the fields of the type. */
function leave(desc: DescMessage, message: Message): Uint8Array {
  return toBinary(desc, message, { writeUnknownFields: false });
}

/** Has protobuf-es read what stands from `pos` to `end` into the message, within the bounds. */
function adopt(
  desc: DescMessage,
  message: Message,
  pos: number,
  end: number,
  depth: number,
  bounds?: Bounds,
): void {
  const bytes = wire.input.bytes.subarray(pos, end);
  if (bounds && findExcess(desc, asBuffer(bytes), bounds)) throw wire.excess;
  mergeFromBinary(desc, message, bytes, { recursionLimit: 101 - depth });
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const codecs = new WeakMap<DescMessage, Codec>();

/** The functions of a type, compiled at the first call, and so are those of types inside of it. */
export function codecOf(desc: DescMessage): Codec {
  const known = codecs.get(desc);
  if (known) return known;
  const codec = foreign(desc);
  // Types may hold one another: it must be known before it is compiled.
  codecs.set(desc, codec);
  return canCompile && isCompilable(desc) ? Object.assign(codec, compile(desc)) : codec;
}

function compile(desc: DescMessage): Codec {
  const [Blank, write, read] = build(desc, codecOf, (parts) => [
    blankSource(parts),
    writerSource(desc, parts),
    readerSource(desc, parts),
  ]);
  return { Blank, write, read } as Codec;
}

/** Compiles functions of a type; `inner` gives those of the types inside of it. */
function build(
  desc: DescMessage,
  inner: (desc: DescMessage) => object,
  sourcesOf: (parts: Parts) => string[],
): unknown[] {
  const constants: unknown[] = [];
  const constant = (value: unknown) => `k${constants.push(value) - 1}`;
  const codec = (type: DescMessage) => constant(inner(type));
  const sources = sourcesOf({ blank: create(desc), constant, codec });
  const visible = { ...scope, ...Object.fromEntries(constants.map((k, i) => [`k${i}`, k])) };
  return sources.map((source) => run(visible, source));
}

/** The part of a codec that reads, one set of them for each set of bounds. */
export type Reader = Pick<Codec, "Blank" | "read">;

/** Finds the bounded reader of a type, compiled at the first call, and so are those inside of it. */
export function boundedReaders(bounds: Bounds): (desc: DescMessage) => Reader {
  const readers = new WeakMap<DescMessage, Reader>();
  return function readerOf(desc) {
    const known = readers.get(desc);
    if (known) return known;
    const reader: Reader = { Blank: codecOf(desc).Blank, read: foreign(desc, bounds).read };
    readers.set(desc, reader);
    if (canCompile && isCompilable(desc)) {
      const source = (parts: Parts) => [readerSource(desc, { ...parts, bounds })];
      [reader.read] = build(desc, readerOf, source) as [Codec["read"]];
    }
    return reader;
  };
}

/** A constructor of what `create` makes: the same properties, in the same order and prototype. */
function blankSource({ blank, constant }: Parts): string {
  const properties = Object.entries(blank).map(([name, value]: [string, unknown]) => {
    let initial = constant(value);
    if (typeof value === "bigint") initial = `${value}n`;
    else if (value === "" || value === false || value === 0) initial = JSON.stringify(value);
    else if (Array.isArray(value)) initial = "[]";
    else if (typeof value === "object" && !(value instanceof Uint8Array)) {
      initial = value !== null && "case" in value ? "{ case: undefined }" : "{}";
    }
    return `this.${name} = ${initial};`;
  });
  return `function Blank() { ${properties.join(" ")} }
    Blank.prototype = ${constant(Object.getPrototypeOf(blank))};
    return Blank;`;
}

/** The functions of a type that is not compiled. */
function foreign(desc: DescMessage, bounds?: Bounds): Codec {
  return {
    Blank: function Blank() {
      return create(desc);
    } as unknown as Codec["Blank"],
    write: (message, buf, pos) => wire.writeRaw(toBinary(desc, message), buf, pos),
    read: (message, _buf, pos, end, depth, group) => {
      if (group !== 0) throw wire.odd;
      adopt(desc, message, pos, end, depth, bounds);
      return end;
    },
  };
}
