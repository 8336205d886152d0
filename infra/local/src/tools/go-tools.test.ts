import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolveGoTool } from "./go-tools.js";

let folder: string;
let environment: NodeJS.ProcessEnv;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "emporium-go-tools-test-"));
  environment = { PATH: folder, GOBIN: folder, EMPORIUM_TOOLS_DIR: join(folder, "cache") };
});
afterEach(() => rm(folder, { recursive: true }));

/** A Go that notes its calls and installs an empty file. */
async function fakeGo(script = ': > "$GOBIN/grpcurl"') {
  const text = `#!/bin/sh\necho "$@" >> ${folder}/calls\n${script}\n`;
  await writeFile(join(folder, "go"), text, { mode: 0o755 });
}

test("a tool that only Go has is built once, in the project's cache", async () => {
  await fakeGo();
  const path = join(folder, "cache", "grpcurl-1.9.3", "grpcurl");
  expect(await resolveGoTool("grpcurl", { environment })).toBe(path);
  expect(await resolveGoTool("grpcurl", { environment })).toBe(path);
  expect(await readFile(join(folder, "calls"), "utf8")).toBe(
    "install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3\n",
  );
});

test("a path in its variable comes first, and must be there", async () => {
  await mkdir(join(folder, "mine"));
  const mine = join(folder, "mine", "h2spec");
  const named = { environment: { ...environment, H2SPEC: mine } };
  await expect(resolveGoTool("h2spec", named)).rejects.toThrow(
    `H2SPEC must name a h2spec: there is no ${mine}`,
  );
  await writeFile(mine, "");
  expect(await resolveGoTool("h2spec", named)).toBe(mine);
});

test("without Go, or without its module, one message says what would help", async () => {
  await expect(resolveGoTool("grpcurl", { environment })).rejects.toThrow(
    "grpcurl cannot be had on this machine: Go is not on PATH. Install Go (https://go.dev/dl), then " +
      "`go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3` is run for you; or name its " +
      "path in GRPCURL.",
  );
  await fakeGo("echo 'no such module' >&2; exit 1");
  await expect(resolveGoTool("grpcurl", { environment })).rejects.toThrow(/no such module\. Inst/);
});
