import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A small change of the contract, kept as a patch with a header that says what is to become of it. */
export interface ContractPatch {
  /** Path in this folder, such as `forbidden/field-removed.patch`. */
  readonly file: string;
  /** The header's first line: what changes. */
  readonly sentence: string;
  /** The rule that refuses it, of buf or of `promises.ts`. */
  readonly rule?: string;
  /** Categories of buf's rules that let it pass. */
  readonly unseenBy: readonly string[];
  /** The patch that has to be there before. */
  readonly base?: ContractPatch;
}

/**
 * All patches of `forbidden/` or `allowed/`, by name.
 *
 * @example
 * patchesIn("forbidden")[0]; // { file: "forbidden/access-narrowed.patch", rule: "ACCESS_NOT_NARROWED", … }
 */
export function patchesIn(folder: "forbidden" | "allowed"): ContractPatch[] {
  return readdirSync(join(import.meta.dirname, folder))
    .filter((name) => name.endsWith(".patch"))
    .sort()
    .map((name) => readPatch(`${folder}/${name}`));
}

/** Reads one patch of this folder. */
export function readPatch(file: string): ContractPatch {
  const text = readFileSync(patchPath(file), "utf8");
  const header = text.slice(0, text.indexOf("\n--- "));
  const said = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(header)?.[1];
  const [sentence = ""] = header.split("\n");
  const [rule, base] = [said("Rule"), said("On top of")];
  return {
    file,
    sentence,
    ...(rule && { rule }),
    unseenBy: said("Unseen by")?.split(", ") ?? [],
    ...(base && { base: readPatch(base) }),
  };
}

/** Where a patch is on disk. */
export function patchPath(file: string): string {
  return join(import.meta.dirname, file);
}
