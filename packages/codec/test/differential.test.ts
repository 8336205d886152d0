import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { codecOf } from "../src/compile.js";
import { input } from "../src/wire.js";
import { drawBytes, spoil } from "./random-bytes.js";
import { drawMessageOf } from "./random-message.js";
import { drawSchema } from "./random-schema.js";
import { expectSame, outcome } from "./same.js";

const numRuns = Number(process.env["CODEC_RUNS"] ?? 400);
const RUNS = { numRuns, endOnFailure: true };

test("writes the bytes that protobuf-es writes, for every schema and message", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const desc = drawSchema(draw);
      const message = drawMessageOf(draw, desc, { wild: false });
      expectSame(new Uint8Array(encode(desc, message)), toBinary(desc, message));
    }),
    RUNS,
  );
});

test("reads the message that protobuf-es reads, for every schema and message", () => {
  fc.assert(
    fc.property(fc.gen(), fc.boolean(), (draw, asBuffer) => {
      const desc = drawSchema(draw);
      const written = toBinary(desc, drawMessageOf(draw, desc, { wild: false }));
      const bytes = asBuffer ? Buffer.from(written) : written;
      expectSame(decode(desc, bytes), fromBinary(desc, bytes));
    }),
    RUNS,
  );
});

test("leaves nothing to protobuf-es that is as it should be", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const desc = drawSchema(draw);
      const message = drawMessageOf(draw, desc, { wild: false });
      const { Blank, read, write } = codecOf(desc);
      const buf = Buffer.alloc(1 << 20);
      const end = write(message, buf, 0);
      input.bytes = buf.subarray(0, end);
      expect(read(new Blank(), buf, 0, end, 1, 0)).toBe(end);
    }),
    RUNS,
  );
});

test("refuses the values that protobuf-es refuses, in the same words", () => {
  fc.assert(
    fc.property(fc.gen(), fc.boolean(), (draw, spread) => {
      const desc = drawSchema(draw);
      const drawn = drawMessageOf(draw, desc, { wild: true });
      const message = spread ? { ...drawn } : drawn;
      const ours = outcome(() => new Uint8Array(encode(desc, message)));
      expectSame(
        ours,
        outcome(() => toBinary(desc, message)),
      );
    }),
    RUNS,
  );
});

test("reads spoilt bytes as protobuf-es does, or refuses them in the same words", () => {
  fc.assert(
    fc.property(fc.gen(), fc.boolean(), (draw, asBuffer) => {
      const desc = drawSchema(draw);
      const message = drawMessageOf(draw, desc, { wild: false });
      const spoilt = spoil(draw, toBinary(desc, message));
      const bytes = asBuffer ? Buffer.from(spoilt) : spoilt;
      const ours = outcome(() => decode(desc, bytes));
      expectSame(
        ours,
        outcome(() => fromBinary(desc, bytes)),
      );
    }),
    { ...RUNS, numRuns: numRuns * 3 },
  );
});

test("reads records in any order, number and wire type as protobuf-es does", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const desc = drawSchema(draw);
      const bytes = drawBytes(draw, desc);
      const ours = outcome(() => decode(desc, bytes));
      expectSame(
        ours,
        outcome(() => fromBinary(desc, bytes)),
      );
    }),
    { ...RUNS, numRuns: numRuns * 3 },
  );
});
