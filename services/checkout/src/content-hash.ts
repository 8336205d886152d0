import { createHash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";

/**
 * SHA-256 of a request's binary form, by which a repeated request is known to be the same. The form
 * is always the same for the same fields, since the contract has no maps; fields that this version
 * does not know are left out.
 */
export function contentHash<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Buffer {
  const bytes = toBinary(schema, message, { writeUnknownFields: false });
  return createHash("sha256").update(bytes).digest();
}
