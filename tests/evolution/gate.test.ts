import type { DescFile, FileRegistry } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contractProblems } from "../../scripts/contract-rules.ts";
import { ContractCopy, NOT_READABLE } from "./contract-copy.ts";
import { patchesIn, readPatch } from "./patches.ts";
import { brokenPromises } from "./promises.ts";
import { releases } from "./releases.ts";

/** What the contract may become and what not; the rules are explained in docs/evolution.md. */
let today: ContractCopy;
let image: FileRegistry;
/** The rules of buf.yaml, and all that buf has, with their categories. */
let ours: ReadonlyMap<string, string[]>;
let all: ReadonlyMap<string, string[]>;

/** The categories of buf's rules, the strictest first. */
const categories = ["FILE", "PACKAGE", "WIRE_JSON", "WIRE"];

beforeAll(async () => {
  today = new ContractCopy();
  [image, ours, all] = await Promise.all([today.image(), today.rules(), today.rules(categories)]);
});

afterAll(() => today?.[Symbol.dispose]());

describe.concurrent("refused", () => {
  test.each(patchesIn("forbidden"))("$sentence", async (patch) => {
    using base = patch.base && new ContractCopy();
    if (patch.base) await base?.apply(patch.base);
    using after = new ContractCopy();
    await after.apply(patch);
    const found = await after.breakingRules((base ?? today).protos, { categories });
    const broken = found.filter((rule) => ours.has(rule) || rule === NOT_READABLE);
    if (found.length === 0)
      broken.push(...brokenPromises(image, await after.image()).map(({ rule }) => rule));
    expect(broken).toContain(patch.rule);
    const seenBy = new Set(found.flatMap((rule) => all.get(rule) ?? categories));
    expect(patch.unseenBy).toEqual(categories.filter((category) => !seenBy.has(category)));
  });
});

describe.concurrent("passes", () => {
  test.each(patchesIn("allowed"))("$sentence", async (patch) => {
    using copy = new ContractCopy();
    await copy.apply(patch);
    await expectAllowed(copy);
  });
});

test("all allowed changes together pass", async () => {
  using copy = new ContractCopy();
  for (const patch of patchesIn("allowed")) await copy.apply(patch);
  await expectAllowed(copy);
});

async function expectAllowed(copy: ContractCopy): Promise<void> {
  const [breaking, lint, changed] = await Promise.all([
    copy.breakingRules(today.protos),
    copy.lintRules(),
    copy.image(),
  ]);
  expect({ breaking, lint }).toEqual({ breaking: [], lint: [] });
  expect(contractProblems(ourFiles(changed))).toEqual([]);
  expect(brokenPromises(image, changed)).toEqual([]);
}

function ourFiles(registry: FileRegistry): DescFile[] {
  return [...registry.files].filter(({ proto }) => proto.package.startsWith("emporium."));
}

test("a patch that no longer fits is named", async () => {
  using copy = new ContractCopy();
  const patch = readPatch("allowed/field-added.patch");
  await copy.apply(patch);
  copy.remove("emporium/inventory/v1/resources.proto");
  await expect(copy.apply(patch)).rejects.toThrow("allowed/field-added.patch no longer applies");
});

test("a version goes only with an exception, and the exception frees nothing else", async () => {
  using copy = new ContractCopy();
  copy.remove("emporium/checkout/v1");
  expect(await copy.breakingRules(today.protos)).toEqual(["FILE_NO_DELETE"]);
  copy.configure((config) => `${config.trim()}\n  ignore: [proto/emporium/checkout/v1]\n`);
  expect(await copy.breakingRules(today.protos)).toEqual([]);
  copy.remove("emporium/orders/v1/events.proto");
  expect(await copy.breakingRules(today.protos)).toEqual(["FILE_NO_DELETE"]);
});

test.each(releases())("today's contract keeps what $version promised", async (release) => {
  const names = (registry: FileRegistry) => ourFiles(registry).map(({ name }) => name);
  expect(names(image)).toEqual(expect.arrayContaining(names(release.image)));
  expect(await today.breakingRules(release.file, { sameFiles: true })).toEqual([]);
  expect(brokenPromises(release.image, image)).toEqual([]);
});
