import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { type ContractPatch, patchPath } from "./patches.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** buf's exit status where a rule is broken. */
const RULES_BROKEN = 100;

/** What buf calls a contract that it cannot read. */
export const NOT_READABLE = "COMPILE";

/**
 * A copy of the contract in a temporary folder, to be changed and looked at. Dispose of it to delete
 * the folder.
 *
 * @example
 * using copy = new ContractCopy();
 * await copy.apply(readPatch("forbidden/field-removed.patch"));
 * await copy.breakingRules(today.protos); // ["FIELD_NO_DELETE"]
 */
export class ContractCopy implements Disposable {
  /** Holds `buf.yaml`, `proto/` and `third_party/`. */
  readonly #folder = mkdtempSync(join(tmpdir(), "contract-"));
  /** The folder of our files. */
  readonly protos = join(this.#folder, "proto");

  constructor() {
    for (const part of ["buf.yaml", "proto/emporium", "third_party/proto"])
      cpSync(join(root, part), join(this.#folder, part), { recursive: true });
  }

  /** Applies a patch, after the one that it stands on. Rejects with the name of one that does not fit. */
  async apply(patch: ContractPatch): Promise<void> {
    if (patch.base) await this.apply(patch.base);
    // Inside of a repository git would leave out what is not part of it.
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(this.#folder) };
    const words = ["apply", "--unidiff-zero", patchPath(patch.file)];
    await run("git", words, { cwd: this.#folder, env }).catch((cause: Error) => {
      throw new Error(`${patch.file} no longer applies: ${cause.message}`, { cause });
    });
  }

  /**
   * Rules that `buf breaking` finds broken against a folder of protos or an image: those of
   * `buf.yaml`, or of these categories. With `sameFiles`, files that are gone are no matter.
   */
  breakingRules(
    against: string,
    { categories, sameFiles }: { categories?: readonly string[]; sameFiles?: boolean } = {},
  ): Promise<string[]> {
    const limit = sameFiles ? ["--limit-to-input-files"] : [];
    return this.#broken("breaking", "--against", against, ...limit, ...this.#using(categories));
  }

  /** Rules that `buf lint` finds broken. */
  lintRules(): Promise<string[]> {
    return this.#broken("lint");
  }

  /**
   * The rules of `buf breaking`, those of `buf.yaml` or of these categories; each with all categories
   * that it is in.
   */
  async rules(categories?: readonly string[]): Promise<Map<string, string[]>> {
    const words = ["config", "ls-breaking-rules", "--configured-only", "--module-path", "proto"];
    const listed = await this.#buf(...words, "--format", "json", ...this.#using(categories));
    const rules = parseLines<{ id: string; categories: string[] }>(listed);
    return new Map(rules.map(({ id, categories }) => [id, categories]));
  }

  /** The contract as buf builds it: our files and those that they import. */
  async image(): Promise<FileRegistry> {
    const image = join(this.#folder, "contract.binpb");
    await this.#buf(...imageArguments(image));
    return readImage(image);
  }

  /** Deletes a file or folder of the contract. */
  remove(path: string): void {
    rmSync(join(this.protos, path), { recursive: true });
  }

  /** Changes `buf.yaml`. */
  configure(change: (config: string) => string): void {
    writeFileSync(join(this.#folder, "buf.yaml"), change(this.#config()));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #config(): string {
    return readFileSync(join(this.#folder, "buf.yaml"), "utf8");
  }

  #using(categories: readonly string[] | undefined): string[] {
    if (!categories) return [];
    const use = `$1 [${categories.join(", ")}]`;
    return ["--config", this.#config().replace(/(breaking:\s+use:) \[.*\]$/m, use)];
  }

  async #broken(command: string, ...words: string[]): Promise<string[]> {
    const told = await this.#buf(command, "proto", ...words, "--error-format", "json");
    return [...new Set(parseLines<{ type: string }>(told).map(({ type }) => type))].sort();
  }

  /** What buf tells, also of broken rules. */
  async #buf(...words: string[]): Promise<string> {
    // A run is over before it pays to collect garbage.
    const env = { ...process.env, GOGC: "off" };
    const running = run("buf", words, { cwd: this.#folder, env });
    const { stdout } = await running.catch((failed: Error & { code?: number; stdout?: string }) => {
      if (failed.code !== RULES_BROKEN || !failed.stdout) throw failed;
      return { stdout: failed.stdout };
    });
    return stdout;
  }
}

function parseLines<Line>(text: string): Line[] {
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** What makes buf write an image: our files and what they import, without comments. */
export function imageArguments(file: string): string[] {
  const form = ["--as-file-descriptor-set", "--exclude-source-info"];
  return ["build", "--path", "proto/emporium", ...form, "-o", file];
}

/** Reads the types of an image. */
export function readImage(file: string): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
}
