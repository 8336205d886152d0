import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

// SECURITY.md says which Node runs where; docs/node-releases.json says which releases have fixes.
const root = join(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const { fixes, npmHasNothingNewerThan } = JSON.parse(read("docs/node-releases.json")) as {
  fixes: Record<string, string[]>;
  npmHasNothingNewerThan: string;
};
const rank = (version: string) =>
  version.split(".").reduce((sum, part) => sum * 1000 + Number(part), 0);
const fixed = Object.keys(fixes).sort((one, other) => rank(one) - rank(other));

test("the npm package that brings Node is the newest there is, and has every fix that it can", () => {
  const { devDependencies } = JSON.parse(read("package.json")) as {
    devDependencies: Record<string, string>;
  };
  expect(devDependencies["node"]).toBe(npmHasNothingNewerThan);
  expect(read(".nvmrc").trim()).toBe(devDependencies["node"]);
  expect(process.versions.node.startsWith("24.")).toBe(true);
});

test("images run a Node that has every fix", () => {
  const files = globSync("{infra,.}/**/{Dockerfile*,compose*.yaml,*.yaml}", {
    cwd: root,
    exclude: (path) => /node_modules|dist/.test(path),
  });
  const images = files.flatMap((file) =>
    [...read(file).matchAll(/(?:FROM|image:) +node:(\d+\.\d+\.\d+)/g)].map(([, version]) => ({
      file,
      version: version!,
    })),
  );
  expect(images.filter(({ version }) => rank(version) < rank(fixed.at(-1)!))).toEqual([]);
});

test("no Node process decodes Brotli", () => {
  const sources = globSync("{packages,services,infra,console}/**/src/**/*.ts", {
    cwd: root,
    exclude: (path) => /node_modules|dist|generated/.test(path),
  });
  expect(sources.length).toBeGreaterThan(50);
  expect(sources.filter((file) => /brotli/i.test(read(file)))).toEqual([]);
});
