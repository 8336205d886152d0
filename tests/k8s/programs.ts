import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { makeOnce } from "../../infra/local/src/temporary.js";
import { gatherDefinitions, modules } from "./custom-resources.js";

const root = join(import.meta.dirname, "../..");
const module = join(root, "infra/k8s/api-server");
const pins = readFileSync(join(module, "go.mod"), "utf8");
const versionOf = (path: string) => new RegExp(`^\\s+${path} v([0-9.]+)`, "m").exec(pins)![1]!;
export const kubernetes = versionOf("k8s.io/kubernetes");

export const cache = process.env["EMPORIUM_TOOLS_DIR"] || join(root, ".emporium/tools");

/** Where the programs are, once built: in the project's tool cache. */
export const programs = join(
  cache,
  `kubernetes-${kubernetes}-etcd-${versionOf("go.etcd.io/etcd/server/v3")}`,
);

/** Where the definitions of custom resources are: another list is another folder. */
export const definitions = join(
  cache,
  `definitions-${createHash("sha256").update(JSON.stringify(modules)).digest("hex").slice(0, 12)}`,
);

/** Why there can be no control plane here; nothing where there can. */
export const missing =
  existsSync(programs) && existsSync(definitions)
    ? undefined
    : `no Kubernetes ${kubernetes} in the tool cache: \`npm run test:k8s\` builds it once, with Go`;

/**
 * Builds etcd, the API server, the controllers and kubectl of `infra/k8s/api-server/go.mod`, once, and
 * brings the definitions. Vitest runs it before the tests of `npm run test:k8s`.
 */
export async function setup(): Promise<void> {
  await makeOnce(programs, async (folder) => {
    await build(module, folder, ["tool"]);
    await rename(join(folder, "server"), join(folder, "etcd"));
  });
  await makeOnce(definitions, gatherDefinitions);
}

/** Builds packages of a Go module of ours, with the version of Kubernetes in them. */
export async function build(place: string, folder: string, packages: string[]): Promise<void> {
  const [major, minor] = kubernetes.split(".");
  const told = Object.entries({ Version: `v${kubernetes}`, Major: major, Minor: minor }).map(
    ([name, value]) => `-X k8s.io/component-base/version.git${name}=${value}`,
  );
  const flags = ["-trimpath", "-ldflags", `-s -w ${told.join(" ")}`];
  const building = spawn("go", ["build", "-C", place, ...flags, "-o", folder, ...packages], {
    stdio: "inherit",
  });
  const [code] = await once(building, "exit");
  if (code !== 0) throw new Error(`go build ended with ${code}`);
}
