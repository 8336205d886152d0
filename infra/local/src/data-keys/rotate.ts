import { setTimeout as delay } from "node:timers/promises";
import { countSealed, DataKeys, reseal, type SealedColumn } from "@emporium/database";
import { takeLock } from "../guard/lock.js";
import { loadService, type ServiceName, serviceNames } from "../shop/services.js";
import { addDataKey, dropOldDataKeys, readDataKeys } from "./key-file.js";

/**
 * Milliseconds after which no call is left that sealed something with the key before and has not
 * stored it yet: the longest that the contract gives a call which does, CompleteOrder.
 */
const LONGEST_CALL_MS = 30_000;

/** Whose keys change. */
export interface KeyRotation {
  /** The shop's file of keys. */
  keyFile: string;
  databaseUrls: Record<ServiceName, string>;
  /** Whether the keys before go, as soon as nothing is left that they have sealed. */
  dropOld: boolean;
  /** Milliseconds that calls get before keys go; those of the contract where absent. */
  settleMs?: number;
}

/** What a rotation did. */
export interface Rotated {
  /** The id of the new primary key. */
  primary: string;
  /** Values that were sealed with it in place of another one. */
  resealed: number;
  /** Ids of the keys that went. */
  dropped: string[];
}

/**
 * Adds a key, seals with it all that another one has sealed, and drops the others where that is
 * asked for. The shop goes on meanwhile. Safe to repeat: where it was cut short, the next run finds
 * what is left. Rejects, and drops none, where a value cannot be opened; with `LockedError` where
 * another process is at it.
 *
 * @example
 * await rotateDataKeys({ keyFile, databaseUrls: shop.databaseUrls, dropOld: false });
 */
export async function rotateDataKeys(rotation: KeyRotation): Promise<Rotated> {
  const { keyFile, dropOld, settleMs = LONGEST_CALL_MS } = rotation;
  using _ = takeLock(`${keyFile}.lock`);
  const primary = addDataKey(keyFile);
  let resealed = await resealAll(rotation);
  if (!dropOld) return { primary, resealed, dropped: [] };
  await delay(settleMs);
  resealed += await resealAll(rotation);
  return { primary, resealed, dropped: dropOldDataKeys(keyFile) };
}

/** A key and what it has sealed. */
export interface ListedKey {
  /** `""` stands for what was stored before there were keys. */
  id: string;
  primary: boolean;
  /** False where values name it and the file does not have it: they are lost without it. */
  known: boolean;
  /** Values that it has sealed, by where they are: `orders.sealed_address`. */
  values: Record<string, number>;
}

/** The keys of a shop's file, and those that its databases name. */
export async function listDataKeys(
  rotation: Pick<KeyRotation, "keyFile" | "databaseUrls">,
): Promise<ListedKey[]> {
  const { primary, keys } = readDataKeys(rotation.keyFile);
  const listed = new Map<string, ListedKey>();
  const entry = (id: string) => {
    const known = id === "" || Object.hasOwn(keys, id);
    const found = listed.get(id) ?? { id, primary: id === primary, known, values: {} };
    listed.set(id, found);
    return found;
  };
  Object.keys(keys).forEach(entry);
  for (const { url, column } of await sealedColumnsOf(rotation.databaseUrls))
    for (const [id, count] of await countSealed({ url, column }))
      entry(id).values[`${column.table}.${column.column}`] = count;
  return [...listed.values()];
}

async function resealAll({ keyFile, databaseUrls }: KeyRotation): Promise<number> {
  const keys = DataKeys.fromFile(keyFile);
  let total = 0;
  for (const { url, column } of await sealedColumnsOf(databaseUrls))
    // A row that changed under a pass is for the next one.
    for (let written = -1; written !== 0; total += written)
      written = await reseal({ url, column, keys });
  return total;
}

async function sealedColumnsOf(urls: Record<ServiceName, string>) {
  const columns: { url: string; column: SealedColumn }[] = [];
  for (const name of serviceNames) {
    const service = await loadService(name);
    if (!("sealedColumns" in service)) continue;
    for (const column of service.sealedColumns) columns.push({ url: urls[name], column });
  }
  return columns;
}
