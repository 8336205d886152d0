import { globSync } from "node:fs";
import { basename, join } from "node:path";
import type { FileRegistry } from "@bufbuild/protobuf";
import { readImage } from "./contract-copy.ts";

/** Where the images of released contracts are kept. */
export const releasesFolder = join(import.meta.dirname, "../../proto/releases");

/** A contract that callers were given. */
export interface Release {
  readonly version: string;
  /** Path of its image. */
  readonly file: string;
  readonly image: FileRegistry;
}

/** Every contract whose callers are still served. */
export function releases(): Release[] {
  return globSync(join(releasesFolder, "*.binpb"))
    .sort()
    .map((file) => ({ version: basename(file, ".binpb"), file, image: readImage(file) }));
}
