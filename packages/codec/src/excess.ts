import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Bounds, Excess } from "./bounds.js";
import { DELIMITED, END_GROUP, START_GROUP, scalarOf } from "./scalars.js";
import { odd, readTag, readVarint, skip, words } from "./wire.js";

/**
 * Finds the first part of a serialized message that exceeds its bounds, without making the message.
 * `undefined` for a message within its bounds, and for a malformed one that exceeds none up to the
 * place where it is malformed. It names the field for an error, and guards what is not compiled.
 */
export function findExcess(desc: DescMessage, bytes: Buffer, bounds: Bounds): Excess | undefined {
  const walk = new Walk(bytes, bounds);
  try {
    walk.message(desc, 0, bytes.length, "", 0, 1);
    return undefined;
  } catch (error) {
    if (error === odd) return undefined;
    if (error instanceof Found) return error.excess;
    throw error;
  }
}

class Found {
  readonly excess: Excess;

  constructor(excess: Excess) {
    this.excess = excess;
  }
}

class Walk {
  /** Items and entries so far, by the path of their field: a message may come in several parts. */
  readonly #counts = new Map<string, number>();
  readonly #buf: Buffer;
  readonly #bounds: Bounds;
  #elements = 0;

  constructor(buf: Buffer, bounds: Bounds) {
    this.#buf = buf;
    this.#bounds = bounds;
  }

  /** Walks from `pos` to `end`, or to the tag `group` if that is not 0; returns the position behind. */
  message(
    desc: DescMessage,
    pos: number,
    end: number,
    path: string,
    group: number,
    depth: number,
  ): number {
    if (depth > 100) throw odd;
    while (pos < end) {
      pos = readTag(this.#buf, pos);
      const tag = words[0]! >>> 0;
      if (tag === group) return pos;
      const field = desc.fields.find(({ number }) => number === tag >>> 3);
      if (field) pos = this.#field(field, tag, pos, end, path, depth);
      else {
        this.#count();
        pos = skip(this.#buf, pos, tag, 100 - depth);
      }
    }
    if (group !== 0 || pos !== end) throw odd;
    return pos;
  }

  #field(
    field: DescField,
    tag: number,
    pos: number,
    end: number,
    parent: string,
    depth: number,
  ): number {
    const path = parent ? `${parent}.${field.name}` : field.name;
    const repeated = field.fieldKind === "list" || field.fieldKind === "map";
    const packed = (tag & 7) === DELIMITED && isPackable(field);
    const index = repeated && !packed ? this.#item(field, path) : 0;
    const at = repeated ? `${path}[${index}]` : path;
    if ((tag & 7) === START_GROUP && field.message)
      return this.message(field.message, pos, end, at, field.number * 8 + END_GROUP, depth + 1);
    if ((tag & 7) !== DELIMITED) return skip(this.#buf, pos, tag, 100 - depth);
    const start = readVarint(this.#buf, pos);
    const stop = start + (words[0]! >>> 0);
    if (stop > end) throw odd;
    if (packed) this.#packed(field, path, start, stop);
    else if (field.fieldKind === "map") this.#entry(field, start, stop, at, depth);
    else if (field.message) this.message(field.message, start, stop, at, 0, depth + 1);
    else {
      const { bytes } = this.#bounds.of(field);
      if (bytes !== undefined && stop - start > bytes)
        throw new Found({ path: at, field, bound: "bytes", limit: bytes });
    }
    return stop;
  }

  /** The value of a map's entry may be a message. */
  #entry(
    field: DescField & { fieldKind: "map" },
    pos: number,
    end: number,
    path: string,
    depth: number,
  ): void {
    while (pos < end) {
      pos = readTag(this.#buf, pos);
      const tag = words[0]! >>> 0;
      if (tag === 16 + DELIMITED && field.message) {
        const start = readVarint(this.#buf, pos);
        pos = start + (words[0]! >>> 0);
        if (pos > end) throw odd;
        this.message(field.message, start, pos, path, 0, depth + 1);
      } else pos = skip(this.#buf, pos, tag, 100 - depth);
    }
  }

  #packed(field: DescField, path: string, pos: number, end: number): void {
    const { wireType } = scalarOf(field.scalar);
    while (pos < end) {
      this.#item(field, path);
      pos = skip(this.#buf, pos, wireType, 0);
    }
  }

  #item(field: DescField, path: string): number {
    const count = this.#counts.get(path) ?? 0;
    const { items } = this.#bounds.of(field);
    if (items !== undefined && count >= items)
      throw new Found({ path, field, bound: "items", limit: items });
    this.#count();
    this.#counts.set(path, count + 1);
    return count;
  }

  #count(): void {
    const { elements } = this.#bounds;
    if (++this.#elements > elements)
      throw new Found({ path: "", bound: "elements", limit: elements });
  }
}

function isPackable(field: DescField): boolean {
  return (
    field.fieldKind === "list" && !field.message && scalarOf(field.scalar).wireType !== DELIMITED
  );
}
