import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeOnce, projectDirectory } from "@emporium/local";

const run = promisify(execFile);
const source = join(projectDirectory, "bench/go");
const contract = ["inventory/v1/inventory_service.proto", "orders/v1/order_service.proto"];

/**
 * The path of the server in Go, built from `bench/go` and the contract into `.emporium/tools` where
 * it is not there yet; Go's checksum database vouches for its modules. `undefined`, with a word to
 * `report`, where Go is absent or cannot build it.
 */
export async function buildGoServer(report: (line: string) => void): Promise<string | undefined> {
  const place = join(projectDirectory, ".emporium/tools", `bench-grpc-go-${await fingerprint()}`);
  try {
    await makeOnce(place, async (folder) => {
      await run("go", ["version"]);
      report("Building the server in Go; this takes a minute, once");
      await cp(source, folder, { recursive: true });
      const protos = contract.flatMap((file) => [
        "--path",
        join(projectDirectory, "proto/emporium", file),
      ]);
      const buf = join(projectDirectory, "node_modules/.bin/buf");
      await run(buf, ["generate", projectDirectory, "--template", "buf.gen.yaml", ...protos], {
        cwd: folder,
      });
      await run("go", ["build", "-o", "server", "."], { cwd: folder });
    });
    return join(place, "server");
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split("\n");
    report(`grpc-go is left out: ${why}. It needs Go (https://go.dev/dl)`);
    return undefined;
  }
}

/** Of all that the server is made from. */
async function fingerprint(): Promise<string> {
  const hash = createHash("sha256");
  const files: string[] = [];
  for (const folder of [source, join(projectDirectory, "proto")])
    for await (const file of glob("**/*.{go,mod,sum,yaml,proto}", { cwd: folder }))
      files.push(join(folder, file));
  for (const file of files.toSorted()) hash.update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}
