import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar";
import type { ToolName } from "./releases.js";
import { executableName } from "./search.js";
import { unzipFile } from "./unzip.js";

/** What is to be downloaded, and how long a silence may last. */
export interface Download {
  tool: ToolName;
  url: string;
  sha256: string;
  /** An existing folder; the archive and the program are put there. */
  folder: string;
  /** Milliseconds without an answer, or without a byte, after which the download has failed. */
  patienceMs: number;
}

/**
 * Downloads a release archive, checks its SHA-256 and takes the program out of it. Returns the
 * program's path. Rejects with an `Error` whose message fits after "download: ".
 */
export async function downloadTool(download: Download): Promise<string> {
  const archive = join(download.folder, basename(new URL(download.url).pathname));
  const sum = await fetchTo(archive, download);
  if (sum !== download.sha256)
    throw new Error(`wrong checksum: SHA-256 is ${sum}, and ${download.sha256} was expected`);
  const program = join(download.folder, executableName(download.tool));
  if (archive.endsWith(".zip"))
    await writeFile(program, await unzipFile(archive, basename(program)));
  else
    await extract({
      file: archive,
      cwd: download.folder,
      strip: 1,
      filter: (path) => basename(path) === basename(program),
    });
  await Promise.all([chmod(program, 0o755), rm(archive)]);
  return program;
}

async function fetchTo(file: string, { url, patienceMs }: Download): Promise<string> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), patienceMs);
  try {
    const response = await fetch(url, { signal: silence.signal });
    if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
    const hash = createHash("sha256");
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        timer.refresh();
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), measure, createWriteStream(file));
    return hash.digest("hex");
  } catch (error) {
    const silent = silence.signal.aborted;
    throw new Error(silent ? `silent for ${patienceMs / 1000} s` : reasonIn(error), {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** `fetch` hides what happened ("fetch failed") in the cause. */
function reasonIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.message || ("code" in cause ? String(cause.code) : cause.name);
}
