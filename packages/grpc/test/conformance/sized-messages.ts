import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** Messages that the runner sends on stdin, each after its length in four bytes. */
export async function* readMessages<Desc extends DescMessage>(
  schema: Desc,
): AsyncGenerator<MessageShape<Desc>> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
      const end = 4 + bytes.readUInt32BE();
      yield fromBinary(schema, bytes.subarray(4, end));
      bytes = bytes.subarray(end);
    }
  }
}

/** Tells the runner on stdout. */
export function writeMessage<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) {
  const bytes = toBinary(schema, message);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([length, bytes]));
}
