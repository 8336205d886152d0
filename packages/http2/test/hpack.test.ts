import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HpackDecoder, HpackEncoder, indexedField, ReplyField } from "../src/index.js";
import { decodeHuffman } from "../src/hpack/huffman.js";

interface Story {
  cases: { wire: string; headers: [name: string, value: string][] }[];
}

const folder = join(import.meta.dirname, "hpack-test-case");
const stories = readdirSync(folder).filter((name) => name.endsWith(".json"));

function decodeAll(decoder: HpackDecoder, block: Buffer): string[][] {
  const fields: string[][] = [];
  decoder.decode(block, 0, block.length, {
    addField: ({ name, value }) => fields.push([name, value]),
  });
  return fields;
}

test.each(stories)("the published story %s is decoded, block after block", (name) => {
  const { cases } = JSON.parse(readFileSync(join(folder, name), "utf8")) as Story;
  const decoder = new HpackDecoder();
  for (const { wire, headers } of cases)
    expect(decodeAll(decoder, Buffer.from(wire, "hex"))).toEqual(headers);
  expect(cases.length).toBeGreaterThan(3);
});

test("what is encoded is decoded again, with indexed fields in one byte from the second time on", () => {
  const often = [indexedField("x-often", "a"), indexedField("x-often", "b")];
  const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
  const text = fc.string({
    unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)),
  });
  const rare = fc.tuple(token, text).map(([name, value]) => new ReplyField(name, value));
  const list = fc.array(fc.oneof(rare, fc.constantFrom(...often)), { maxLength: 8 });
  const property = fc.property(fc.array(list, { maxLength: 8 }), fc.boolean(), (lists, small) => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const seen = new Set<ReplyField>();
    for (const [index, fields] of lists.entries()) {
      // A peer may make its table smaller at any time.
      if (small && index === 2) encoder.setMaxTableSize(0);
      const out = Buffer.alloc(8192);
      let at = encoder.begin(out, 0);
      for (const field of fields) {
        const start = at;
        at = encoder.write(out, at, field);
        expect(at - start).toBeLessThanOrEqual(field.maxBytes);
        if (seen.has(field) && !(small && index >= 2)) expect(at - start).toBe(1);
        if (field.tableId >= 0) seen.add(field);
      }
      const decoded = decodeAll(decoder, out.subarray(0, at));
      expect(decoded).toEqual(fields.map(({ name, value }) => [name, value]));
    }
  });
  fc.assert(property, { numRuns: 200 });
});

test.each([
  ["an index of 0", "80"],
  ["an index outside of the tables", "ff80"],
  ["an integer that does not end", "ffffffffffff"],
  ["a text that is cut off", "400a6375"],
  ["a table larger than SETTINGS allow", "3fe2ff7f"],
  ["a size update after a field", "8220"],
  ["a text with EOS in it", "0084ffffffff0161"],
  ["padding that is longer than seven bits", "00821fff0161"],
  ["padding of zeros", "00811e0161".replace("1e", "18")],
])("%s is COMPRESSION_ERROR", (_, hex) => {
  expect(() => decodeAll(new HpackDecoder(), Buffer.from(hex, "hex"))).toThrow("HPACK");
});

test("no block of random bytes does anything but decode or fail with COMPRESSION_ERROR", () => {
  const property = fc.property(
    fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }),
    (blocks) => {
      const decoder = new HpackDecoder();
      for (const block of blocks)
        try {
          decodeAll(decoder, Buffer.from(block));
        } catch (error) {
          expect(String(error)).toContain("HPACK");
          return;
        }
    },
  );
  fc.assert(property, { numRuns: 2_000 });
});

test("every octet has its Huffman code: RFC 7541, C.4.1 and C.6.1", () => {
  const decode = (hex: string) => decodeHuffman(Buffer.from(hex, "hex"), 0, hex.length / 2);
  expect(decode("f1e3c2e5f23a6ba0ab90f4ff")).toBe("www.example.com");
  expect(decode("d07abe941054d444a8200595040b8166e082a62d1bff")).toBe(
    "Mon, 21 Oct 2013 20:13:21 GMT",
  );
});
