import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { resolveGoTool } from "@emporium/local/go-tools";
import { parseAllDocuments } from "yaml";

export const root = join(import.meta.dirname, "../..");
export const overlays = ["kind", "production"] as const;
export type Overlay = (typeof overlays)[number];

/** One object of a rendered overlay; of its spec, what the tests look at. */
export interface Resource {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  data?: Record<string, string>;
  // oxlint-disable-next-line typescript/no-explicit-any -- of any kind; the schemas look after it
  spec: any;
}

export interface Pod {
  /** Of the Deployment or Job that makes it. */
  name: string;
  kind: string;
  labels: Record<string, string>;
  // oxlint-disable-next-line typescript/no-explicit-any -- see above
  spec: any;
}

const rendered = new Map<Overlay, Promise<Resource[]>>();

/** Every object of an overlay, as `kubectl apply` gets it. Skips where there is no kustomize. */
export async function render(
  overlay: Overlay,
  skip: (reason: string) => never,
): Promise<Resource[]> {
  const kustomize = await resolveGoTool("kustomize").catch((error: Error) => skip(error.message));
  const known = rendered.get(overlay) ?? build(kustomize, overlay);
  rendered.set(overlay, known);
  return known;
}

async function build(kustomize: string, overlay: Overlay): Promise<Resource[]> {
  const folder = join(root, "infra/k8s/overlays", overlay);
  const { stdout } = await promisify(execFile)(kustomize, ["build", folder], {
    maxBuffer: 16 * 1024 * 1024,
  });
  return parseAllDocuments(stdout).map((document) => document.toJS() as Resource);
}

/** What runs of ours: a pod of each Deployment and Job. */
export function podsOf(resources: Resource[]): Pod[] {
  return resources
    .filter(({ spec }) => spec?.template?.spec?.containers)
    .map(({ kind, metadata, spec }) => ({
      name: metadata.name,
      kind,
      labels: spec.template.metadata.labels,
      spec: spec.template.spec,
    }));
}

/** The variables of a pod's only container, those of its ConfigMaps included. */
export function environmentOf(pod: Pod, resources: Resource[]): Record<string, string> {
  const [container] = pod.spec.containers;
  const maps = (container.envFrom ?? []).map(
    (from: { configMapRef: { name: string } }) =>
      resources.find(
        ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === from.configMapRef.name,
      )?.data,
  );
  const own = (container.env ?? []).map(
    ({ name, value = "" }: { name: string; value?: string }) => [name, value],
  );
  return Object.assign({}, ...maps, Object.fromEntries(own));
}
