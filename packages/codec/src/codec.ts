import { fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { BoundExceededError, type Bounds } from "./bounds.js";
import { asBuffer, boundedReaders, codecOf } from "./compile.js";
import { findExcess } from "./excess.js";
import { full, input, room } from "./wire.js";

const FIRST_BUFFER = 64 * 1024;
const LARGEST_KEPT = 4 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** The buffer that messages are written to before they are copied out at their size. */
let spare: Buffer | undefined;

/**
 * Serializes a message: the bytes of protobuf-es's `toBinary`, and its errors.
 *
 * The result is a Buffer of its own from Node's pool, ready for grpc-js.
 *
 * @example
 * const bytes = encode(OrderSchema, create(OrderSchema, { orderId: "ord_1" }));
 */
export function encode<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Buffer {
  const { write } = codecOf(schema);
  // A getter in a message might come back here, so the buffer is taken while it is in use.
  let buf = spare ?? Buffer.allocUnsafeSlow(FIRST_BUFFER);
  spare = undefined;
  for (;;) {
    let end: number;
    try {
      end = write(message, buf, 0);
    } catch (error) {
      if (error !== full) {
        spare = buf;
        return asBuffer(toBinary(schema, message));
      }
      end = room.wanted;
    }
    if (end <= buf.length) {
      const bytes = Buffer.allocUnsafe(end);
      buf.copy(bytes, 0, 0, end);
      if (buf.length <= LARGEST_KEPT) spare = buf;
      return bytes;
    }
    buf = Buffer.allocUnsafeSlow(Math.max(end, buf.length * 2));
  }
}

/**
 * Parses a message: the message of protobuf-es's `fromBinary`, and its errors. As there, `bytes`
 * fields and unknown fields are views of what was given.
 *
 * @example
 * const order = decode(OrderSchema, bytes);
 */
export function decode<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  const { Blank, read } = codecOf(schema);
  try {
    const buf = asBuffer(bytes);
    const message = new Blank();
    input.bytes = bytes;
    read(message, buf, 0, buf.length, 1, 0);
    input.bytes = NOTHING;
    return message as MessageShape<Desc>;
  } catch {
    input.bytes = NOTHING;
    // Malformed, or wellformed in a way that nobody sends: protobuf-es decides which, and says why.
    return fromBinary(schema, bytes);
  }
}

/**
 * Makes a decoder that refuses a message at the byte where it exceeds a bound, before memory is spent
 * on what follows. It throws a BoundExceededError with the path of the field; for everything else it
 * does what `decode` does.
 *
 * @example
 * const decodeRequest = boundedDecoder({ of: (field) => rulesOf(field), elements: 100_000 });
 * const request = decodeRequest(CreateOrderRequestSchema, bytes);
 */
export function boundedDecoder(
  bounds: Bounds,
): <Desc extends DescMessage>(schema: Desc, bytes: Uint8Array) => MessageShape<Desc> {
  const readerOf = boundedReaders(bounds);
  return <Desc extends DescMessage>(schema: Desc, bytes: Uint8Array) => {
    const { Blank, read } = readerOf(schema);
    const buf = asBuffer(bytes);
    input.bytes = bytes;
    input.elementsLeft = bounds.elements;
    try {
      const message = new Blank();
      read(message, buf, 0, buf.length, 1, 0);
      return message as MessageShape<Desc>;
    } catch {
      const excess = findExcess(schema, buf, bounds);
      if (excess) throw new BoundExceededError(schema, excess);
      return fromBinary(schema, bytes);
    } finally {
      input.bytes = NOTHING;
    }
  };
}
