import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { newId } from "@emporium/runtime";
import { openingStock } from "../catalogue/opening-stock.js";
import { stockShop } from "../catalogue/stock-shop.js";
import { LockedError } from "../guard/lock.js";
import { bootShop, type Shop } from "../shop/shop.js";
import type { ShopConfig } from "../shop/shop-config.js";
import type { ShopSettings } from "./settings.js";

/**
 * Boots the shop of `npm start`: a process for each service, data that is kept, and a catalogue.
 * When the signal fires on the way, what runs is stopped, and then the promise rejects.
 */
export async function openShop(
  settings: ShopSettings,
  options: Pick<ShopConfig, "fresh" | "report" | "onLine" | "ports"> & { signal: AbortSignal },
): Promise<Shop> {
  // Once it is open, an end is the caller's to bring about, by disposing of the shop.
  const opening = new AbortController();
  const stop = () => opening.abort();
  options.signal.addEventListener("abort", stop);
  try {
    return await open(settings, { ...options, signal: opening.signal });
  } catch (error) {
    if (opening.signal.aborted) throw new Error("Stopped before it was open", { cause: error });
    throw error instanceof LockedError ? new Error(inUse(settings, error.pid)) : error;
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}

async function open(settings: ShopSettings, options: ShopConfig): Promise<Shop> {
  const { directory, currency, logLevel } = settings;
  await using opening = new AsyncDisposableStack();
  const shop = opening.use(
    await bootShop({ ...options, directory, currency, logLevel, processes: true }),
  );
  await fillShelves(shop, settings, options.report);
  opening.move();
  return shop;
}

function inUse({ directory }: ShopSettings, pid: number): string {
  return `A shop runs on ${directory} already (process ${pid}). Stop it first, or set EMPORIUM_DIR to another folder.`;
}

/** Once; where it was cut short, the same import goes on. */
async function fillShelves(
  shop: Shop,
  { directory, currency }: ShopSettings,
  report?: (line: string) => void,
): Promise<void> {
  const note = join(directory, "catalogue.json");
  const known = existsSync(note) ? (JSON.parse(readFileSync(note, "utf8")) as Import) : undefined;
  if (known?.done) return;
  const importId = known?.importId ?? newId("imp");
  const remember = (done: boolean) => writeFileSync(note, JSON.stringify({ importId, done }));
  remember(false);
  const products = await openingStock();
  report?.(`Filling the shelves with ${products.length} products`);
  using inventory = await shop.client(InventoryService, { as: "delivery", by: "delivery" });
  await stockShop({ inventory, importId, currency, products });
  remember(true);
}

interface Import {
  importId: string;
  done: boolean;
}
