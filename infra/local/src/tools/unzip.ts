import { readFile } from "node:fs/promises";
import { crc32, inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

/**
 * Reads one file out of a zip archive, by its name without folders. Node has no unzip; the archives
 * we open hold one program each, so whole-file reading will do. No encryption, no Zip64.
 *
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.
 *
 * @example
 * await writeFile("k6", await unzipFile("k6-v2.3.0-macos-arm64.zip", "k6"));
 */
export async function unzipFile(archive: string, name: string): Promise<Buffer> {
  const zip = await readFile(archive);
  for (const entry of directoryOf(zip)) {
    if (entry.path.split("/").at(-1) !== name) continue;
    // The local header repeats name and extra field, whose length may differ from the directory's.
    const start =
      entry.offset + 30 + zip.readUInt16LE(entry.offset + 26) + zip.readUInt16LE(entry.offset + 28);
    const content = inflate(entry.method, zip.subarray(start, start + entry.packedSize));
    if (crc32(content) !== entry.checksum) throw new Error(`${entry.path} is damaged`);
    return content;
  }
  throw new Error(`the archive has no ${name}`);
}

function* directoryOf(zip: Buffer) {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || zip.readUInt32LE(end) !== END_OF_DIRECTORY) throw new Error("not a zip archive");
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error("the zip directory is damaged");
    const nameLength = zip.readUInt16LE(at + 28);
    yield {
      method: zip.readUInt16LE(at + 10),
      checksum: zip.readUInt32LE(at + 16),
      packedSize: zip.readUInt32LE(at + 20),
      offset: zip.readUInt32LE(at + 42),
      path: zip.toString("utf8", at + 46, at + 46 + nameLength),
    };
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}

function inflate(method: number, packed: Buffer): Buffer {
  if (method === DEFLATED) return inflateRawSync(packed);
  if (method === STORED) return packed;
  throw new Error(`packed by method ${method}, which is not known here`);
}
