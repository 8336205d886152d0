import { fromBinary, toBinary, type DescMessage } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode } from "../src/index.js";
import { codecOf } from "../src/compile.js";
import { input } from "../src/wire.js";
import { drawBytes, spoil } from "./random-bytes.js";
import { drawMessageOf } from "./random-message.js";
import { drawSchema, type Draw } from "./random-schema.js";
import { expectSame, outcome } from "./same.js";

const numRuns = Number(process.env["CODEC_RUNS"] ?? 100);

/** Runs the check with many schemas, and with each of them several times. */
function forEverySchema(times: number, check: (draw: Draw, desc: DescMessage) => void): void {
  const property = fc.property(fc.gen(), (draw) => {
    const desc = drawSchema(draw);
    for (let i = 0; i < times; i++) check(draw, desc);
  });
  fc.assert(property, { numRuns, endOnFailure: true });
}

function expectSameRead(desc: DescMessage, bytes: Uint8Array): void {
  const ours = outcome(() => decode(desc, bytes));
  expectSame(
    ours,
    outcome(() => fromBinary(desc, bytes)),
  );
}

test("writes the bytes that protobuf-es writes, for every schema and message", () => {
  forEverySchema(3, (draw, desc) => {
    const message = drawMessageOf(draw, desc, { wild: false });
    expectSame(new Uint8Array(encode(desc, message)), toBinary(desc, message));
  });
});

test("reads the message that protobuf-es reads, for every schema and message", () => {
  forEverySchema(3, (draw, desc) => {
    const bytes = toBinary(desc, drawMessageOf(draw, desc, { wild: false }));
    expectSameRead(desc, draw(fc.boolean) ? Buffer.from(bytes) : bytes);
  });
});

test("leaves nothing to protobuf-es that is as it should be", () => {
  const buf = Buffer.alloc(1 << 20);
  forEverySchema(3, (draw, desc) => {
    const message = drawMessageOf(draw, desc, { wild: false });
    const { Blank, read, write } = codecOf(desc);
    const end = write(message, buf, 0);
    input.bytes = buf.subarray(0, end);
    expect(read(new Blank(), buf, 0, end, 1, 0)).toBe(end);
  });
});

test("refuses the values that protobuf-es refuses, in the same words", () => {
  forEverySchema(20, (draw, desc) => {
    const message = drawMessageOf(draw, desc, { wild: true }, 2);
    if (draw(fc.boolean)) Object.setPrototypeOf(message, Object.prototype);
    const ours = outcome(() => new Uint8Array(encode(desc, message)));
    expectSame(
      ours,
      outcome(() => toBinary(desc, message)),
    );
  });
});

test("reads two messages in a row as one", () => {
  forEverySchema(10, (draw, desc) => {
    const [first, second] = [2, 2].map((depth) =>
      toBinary(desc, drawMessageOf(draw, desc, { wild: false }, depth)),
    );
    expectSameRead(desc, Buffer.concat([first!, second!]));
  });
});

test("reads spoilt bytes as protobuf-es does, or refuses them in the same words", () => {
  forEverySchema(5, (draw, desc) => {
    const bytes = toBinary(desc, drawMessageOf(draw, desc, { wild: false }, 1));
    for (let times = 0; times < 8; times++) expectSameRead(desc, spoil(draw, bytes));
  });
});

test("reads records in any order, number and wire type as protobuf-es does", () => {
  forEverySchema(30, (draw, desc) => {
    expectSameRead(desc, drawBytes(draw, desc));
  });
});
