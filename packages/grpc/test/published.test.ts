import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

/** What users see of the package: its exports, and what is written about them. */
const folder = join(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(folder, file), "utf8");
const sources = globSync("src/**/*.ts", { cwd: folder }).map(read).join("\n");
const readme = read("README.md");

const exported = [...read("src/index.ts").matchAll(/^export (?:type )?\{([^}]+)\} from "\.\//gm)]
  .flatMap(([, names]) => names!.split(","))
  .map((name) => name.replace("type ", "").trim())
  .filter(Boolean);
const inTesting = [...read("src/testing.ts").matchAll(/^export \S+(?: function)? (\w+)/gm)].map(
  ([, name]) => name!,
);

/** The comment above what has this name. */
function commentOf(name: string): string | undefined {
  const declaration = `(?:abstract |async )?(?:class|function|const|interface|type) ${name}\\b`;
  return new RegExp(
    `(/\\*\\*(?:[^*]|\\*(?!/))*\\*/)\\s*(?:@\\w+\\([^\\n]*\\)\\s*)?export ${declaration}`,
  ).exec(sources)?.[1];
}

test("every export says what it is for", () => {
  expect(exported.length).toBeGreaterThan(60);
  const all = [...exported, ...inTesting];
  expect(all.filter((name) => commentOf(name) === undefined)).toEqual([]);
});

test("functions and classes show how they are used", () => {
  const callable = [...exported, ...inTesting].filter((name) =>
    new RegExp(`export (?:async )?(?:class|function) ${name}\\b`).test(sources),
  );
  const errors = ["ListenError", "TlsFileError"];
  const shownByTheirMethod = ["GrpcModule", "GrpcClientModule"];
  const given = ["CallContext", "Health", "Refusals", "GrpcExceptionFilter"];
  const without = [...errors, ...shownByTheirMethod, ...given];
  expect(
    callable.filter((name) => !without.includes(name) && !commentOf(name)?.includes("@example")),
  ).toEqual([]);
});

const optionsOf = (type: string) =>
  [
    ...new RegExp(`export interface ${type}[^{]*\\{([^]*?)^\\}`, "m")
      .exec(sources)![1]!
      .matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm),
  ].map(([, name]) => name!);

test.each([
  "GrpcServerOptions",
  "GrpcClientOptions",
  "BalancingOptions",
  "OutlierDetection",
  "SheddingLimits",
])("the README knows every field of %s", (type) => {
  const fields = optionsOf(type);
  expect(fields.length).toBeGreaterThan(1);
  expect(fields.filter((field) => !readme.includes(`\`${field}\``))).toEqual([]);
});

test("the README's links lead somewhere", () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link!);
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((link) => globSync(join(folder, link)).length === 0)).toEqual([]);
});
