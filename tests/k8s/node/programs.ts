import { join } from "node:path";
import { makeOnce } from "../../../infra/local/src/temporary.js";
import { build, cache, kubernetes } from "../programs.js";

/** Where kubelet, kube-proxy and CoreDNS are, once built. */
export const nodePrograms = join(cache, `kubernetes-node-${kubernetes}`);

/** Builds the programs of `infra/k8s/node/go.mod`, once; vitest runs it before the tests. */
export async function setup(): Promise<void> {
  const module = join(import.meta.dirname, "../../../infra/k8s/node");
  await makeOnce(nodePrograms, (folder) => build(module, `${folder}/`, ["./dns", "tool"]));
}
