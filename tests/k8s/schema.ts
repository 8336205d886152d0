import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { overlays, render, type Resource, root } from "./overlays.js";

/** Kinds of which no package has a schema. */
const unknown = new Set(["barmancloud.cnpg.io/v1 ObjectStore"]);

const packages: Record<string, string> = {
  "cert-manager.io": "@kubernetes-models/cert-manager",
  "external-secrets.io": "@kubernetes-models/external-secrets",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "keda.sh": "@kubernetes-models/keda",
  "postgresql.cnpg.io": "@kubernetes-models/cloudnative-pg",
};

/** The module that has a kind's schema, as types and as a validator. */
function moduleOf({ apiVersion, kind }: Resource): string {
  const group = apiVersion.split("/")[0]!;
  return `${packages[group] ?? "kubernetes-models"}/${apiVersion}/${kind}`;
}

const nameOf = ({ kind, metadata }: Resource) => `${kind} ${metadata.name}`;

async function known(overlay: (typeof overlays)[number], skip: (reason: string) => never) {
  const resources = await render(overlay, skip);
  expect(resources.length).toBeGreaterThan(50);
  return resources.filter(({ apiVersion, kind }) => !unknown.has(`${apiVersion} ${kind}`));
}

test.for(overlays)("all of %s is valid by the schemas of its kinds", async (overlay, { skip }) => {
  const faults: string[] = [];
  for (const resource of await known(overlay, skip)) {
    const model = (await import(moduleOf(resource))) as Record<
      string,
      new (data: object) => { validate: () => void }
    >;
    try {
      new model[resource.kind]!(resource).validate();
    } catch (error) {
      faults.push(`${nameOf(resource)}: ${String(error)}`);
    }
  }
  expect(faults).toEqual([]);
});

/** The compiler's complaints about objects of the kinds' types, by the objects' names. */
async function complaints(resources: Resource[]): Promise<string[]> {
  const place = join(root, ".emporium");
  await mkdir(place, { recursive: true });
  const folder = await mkdtemp(join(place, "k8s-"));
  try {
    const lines = resources.map((resource, index) => {
      const type = `import("${moduleOf(resource)}").I${resource.kind}`;
      return `export const n${index}: ${type} = ${JSON.stringify(resource)};`;
    });
    const file = join(folder, "rendered.ts");
    await writeFile(file, lines.join("\n"));
    const options = [
      "--ignoreConfig",
      "--noEmit",
      "--strict",
      "--skipLibCheck",
      "--pretty",
      "false",
    ];
    const modules = ["--module", "nodenext", "--target", "es2024", "--types", ""];
    const output = await new Promise<string>((resolve) =>
      execFile(
        process.execPath,
        [join(root, "node_modules/typescript/bin/tsc"), ...options, ...modules, file],
        (_, stdout, stderr) => resolve(stdout + stderr),
      ),
    );
    return output
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [, number, text] = /\((\d+),\d+\): (.*)/.exec(line) ?? [];
        return number ? `${nameOf(resources[Number(number) - 1]!)}: ${text}` : line;
      });
  } finally {
    await rm(folder, { recursive: true });
  }
}

// A schema lets fields pass that it does not know, and the API server drops them; types do not.
test.for(overlays)("%s has no field that its kind does not know", async (overlay, { skip }) => {
  const resources = await known(overlay, skip);
  const deployment = resources.find(({ kind }) => kind === "Deployment")!;
  const misspelled = structuredClone(deployment);
  misspelled.spec.template.spec.containers[0].readinesProbe = {};
  const found = await complaints([...resources, misspelled]);
  expect(found).toEqual([expect.stringMatching(/^Deployment .*"readinesProbe"' does not exist/)]);
});
