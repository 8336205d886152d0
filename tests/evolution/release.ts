/**
 * Keeps today's contract as a release: `node tests/evolution/release.ts 0.2.0` writes
 * `proto/releases/0.2.0.binpb`. Without a version it takes that of package.json. A release is never
 * written twice, since its callers have it already.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { imageArguments } from "./contract-copy.ts";
import { releasesFolder } from "./releases.ts";

const root = join(import.meta.dirname, "../..");
const { version: current } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
};
const version = process.argv[2] ?? current;
const file = join(releasesFolder, `${version}.binpb`);

if (!/^\d+\.\d+\.\d+$/.test(version)) fail(`${version} is no version such as 0.2.0`);
if (existsSync(file)) fail(`${version} is released already; name another version`);
execFileSync("buf", imageArguments(file), { cwd: root, stdio: "inherit" });
console.log(`Wrote ${file}`);

function fail(why: string): never {
  console.error(why);
  process.exit(1);
}
