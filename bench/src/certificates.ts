import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Certificates } from "@emporium/local";

/** Certificates in a folder that goes with the stack, and the files of whoever calls. */
export async function certificatesFor(stack: AsyncDisposableStack) {
  const folder = await mkdtemp(join(tmpdir(), "emporium-bench-"));
  stack.defer(() => rm(folder, { recursive: true }));
  return { folder, files: await (await Certificates.open(folder)).filesOf("load-test") };
}
