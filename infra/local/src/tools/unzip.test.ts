import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unzipFile } from "./unzip.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "emporium-unzip-test-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A zip archive, by APPNOTE 4.3; the local headers carry an extra field that the directory lacks. */
function zipOf(files: Record<string, Buffer>, damage = 0): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, content] of Object.entries(files)) {
    const packed = deflateRawSync(content);
    const name = Buffer.from(path);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    const body = Buffer.concat([local, name, Buffer.alloc(4), packed]);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(8, 10);
    entry.writeUInt32LE((crc32(content) ^ damage) >>> 0, 16);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(offset, 42);
    bodies.push(body);
    directory.push(entry, name);
    offset += body.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, ...directory, end]);
}

test("a file is found by its name in any folder of the archive", async () => {
  const program = Buffer.from("program ".repeat(1000));
  const archive = join(folder, "k6.zip");
  await writeFile(archive, zipOf({ "k6-v2/README": Buffer.from("read"), "k6-v2/k6": program }));
  expect(await unzipFile(archive, "k6")).toEqual(program);
  await expect(unzipFile(archive, "k7")).rejects.toThrow("the archive has no k7");
});

test("a damaged file is refused", async () => {
  const archive = join(folder, "damaged.zip");
  await writeFile(archive, zipOf({ k6: Buffer.from("program") }, 1));
  await expect(unzipFile(archive, "k6")).rejects.toThrow("k6 is damaged");
});

test("what is no archive is refused", async () => {
  const archive = join(folder, "none.zip");
  await writeFile(archive, "hello");
  await expect(unzipFile(archive, "k6")).rejects.toThrow("not a zip archive");
});
