import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageReader } from "../src/wire/message-reader.js";

function framed(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.from([flag, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test("messages come out as they were sent, however their bytes are cut and whenever they are asked for", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  const cuts = fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 400 }), reads: fc.nat(4) }), {
    minLength: 1,
    maxLength: 10,
  });
  const property = fc.property(messages, cuts, (sent, parts) => {
    const reader = new MessageReader(300);
    const wire = Buffer.concat(sent.map((message) => framed(message)));
    const received: Buffer[] = [];
    const read = (times: number) => {
      for (; times > 0; times--) {
        const message = reader.next();
        if (typeof message === "object") received.push(message.bytes);
      }
    };
    for (let at = 0, turn = 0; at < wire.length; turn++) {
      const { bytes, reads } = parts[turn % parts.length]!;
      // The owner of what is pushed uses its memory again.
      const chunk = Buffer.from(wire.subarray(at, at + bytes + 1));
      reader.push(chunk);
      at += chunk.length;
      read(reads);
      const before = received.map((message) => Buffer.from(message));
      reader.keep();
      chunk.fill(0xff);
      received.splice(0, received.length, ...before);
    }
    read(sent.length);
    expect(received).toEqual(sent.map((message) => Buffer.from(message)));
    expect(reader.bytes).toBe(0);
  });
  fc.assert(property, { numRuns: 500 });
});

test("a message that was given out stays as it is while more come", () => {
  const reader = new MessageReader(100);
  reader.push(framed(Buffer.from("first")).subarray(0, 6));
  reader.keep();
  reader.push(Buffer.concat([Buffer.from("irst"), framed(Buffer.from("second"))]));
  const first = reader.next();
  for (let round = 0; round < 100; round++) {
    reader.push(framed(Buffer.from("third")));
    reader.keep();
  }
  expect(first).toMatchObject({ bytes: Buffer.from("first") });
  expect(reader.next()).toMatchObject({ bytes: Buffer.from("second") });
});

test.each([
  ["a flag that is neither 0 nor 1", 2, 10, "flag"],
  ["a message that is too large, before it is there", 0, 101, "too_large"],
])("%s is told", (_, flag, length, told) => {
  const reader = new MessageReader(100);
  reader.push(framed(Buffer.alloc(length), flag).subarray(0, 5));
  expect(reader.next()).toBe(told);
});
