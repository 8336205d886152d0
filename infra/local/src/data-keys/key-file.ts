import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type KeyFile, withNewKey } from "@emporium/database";
import { newId } from "@emporium/runtime";

/** The keys for data at rest of the shop in a folder: kept where the data is. */
export function dataKeysFile(directory: string): string {
  return join(directory, "data-keys.json");
}

/** Makes the keys unless there are some; returns their file. */
export function makeDataKeys(directory: string): string {
  const path = dataKeysFile(directory);
  if (!existsSync(path)) writeKeys(path, withNewKey(newId("key")));
  return path;
}

export function readDataKeys(path: string): KeyFile {
  return JSON.parse(readFileSync(path, "utf8")) as KeyFile;
}

/** Puts a new primary key before the others; returns its id. */
export function addDataKey(path: string): string {
  const file = withNewKey(newId("key"), readDataKeys(path));
  writeKeys(path, file);
  return file.primary;
}

/** Takes all keys away but the primary one; returns the ids of those that went. */
export function dropOldDataKeys(path: string): string[] {
  const { primary, keys } = readDataKeys(path);
  writeKeys(path, { primary, keys: { [primary]: keys[primary]! } });
  return Object.keys(keys).filter((id) => id !== primary);
}

/** Whole at any moment, and its owner's alone. */
function writeKeys(path: string, file: KeyFile): void {
  writeFileSync(`${path}.new`, JSON.stringify(file, null, 2), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
