import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";

const decompressors: Record<string, typeof gunzip> = { gzip: gunzip, deflate: inflate };

/**
 * Decompresses a message in the thread pool, since a small one may become a large one. Resolves to
 * `undefined` when it would have more than `maxBytes`; rejects for what is not of this encoding.
 */
export async function decompress(
  encoding: string,
  bytes: Buffer,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const decompressor = decompressors[encoding];
  if (!decompressor) throw new RangeError(`Unsupported grpc-encoding ${encoding}`);
  try {
    return await promisify<Buffer, object, Buffer>(decompressor)(bytes, {
      maxOutputLength: maxBytes,
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") return undefined;
    throw error;
  }
}

/** Encodings of requests that are understood, as `grpc-accept-encoding` names them. */
export const ACCEPTED_ENCODINGS = "identity,deflate,gzip";

export function isAcceptedEncoding(encoding: string): boolean {
  return encoding === "" || encoding === "identity" || encoding in decompressors;
}
