import { StockChangeCause, type StockChanged } from "@emporium/contracts/inventory/v1";
import type { Differences } from "./differences.js";
import type { ShopTables } from "./read.js";

/** Units of all products together. */
export interface StockTotals {
  loaded: bigint;
  sold: bigint;
  returned: bigint;
  reserved: bigint;
  onHand: bigint;
}

interface Account {
  onHand: bigint;
  reserved: bigint;
  loaded: bigint;
  sold: bigint;
  returned: bigint;
}

/** Whose account a change of `on_hand` goes to. */
const ACCOUNTS: Partial<Record<StockChangeCause, "loaded" | "sold" | "returned">> = {
  [StockChangeCause.IMPORTED]: "loaded",
  [StockChangeCause.COUNTED]: "loaded",
  [StockChangeCause.COMMITTED]: "sold",
  [StockChangeCause.ORDER_CANCELLED]: "returned",
  [StockChangeCause.ITEMS_RETURNED]: "returned",
};

/**
 * Holds stock as a bank holds an account: the events tell every change of every level, one revision
 * after the other, and nothing else may have moved it. Loaded - sold + returned is what is on hand;
 * what is sold and what is reserved is what the reservations say.
 */
export function checkStock(tables: ShopTables, differences: Differences): StockTotals {
  const accounts = readAccounts(tables.stockChanges, differences);
  const promised = unitsByState(tables);
  const totals: StockTotals = { loaded: 0n, sold: 0n, returned: 0n, reserved: 0n, onHand: 0n };
  for (const { sku, onHand, reserved } of tables.products) {
    const account = accounts.get(sku) ?? openAccount();
    const { loaded, sold, returned } = account;
    const compare = (what: string, expected: bigint, found: bigint) =>
      differences.compare(`${what} of ${sku}`, expected, found);
    compare("on hand (by events)", account.onHand, onHand);
    compare("reserved (by events)", account.reserved, reserved);
    compare("loaded - sold + returned", onHand, loaded - sold + returned);
    compare("sold (by reservations)", promised("COMMITTED", sku), sold);
    compare("reserved (by reservations)", promised("HELD", sku), reserved);
    if (reserved < 0n || reserved > onHand)
      differences.compare(`reserved of ${sku}`, `0 to ${onHand}`, reserved);
    totals.loaded += loaded;
    totals.sold += sold;
    totals.returned += returned;
    totals.reserved += reserved;
    totals.onHand += onHand;
  }
  return totals;
}

function readAccounts(changes: StockChanged[], differences: Differences): Map<string, Account> {
  const history = changes.flatMap(({ cause, levels }) =>
    levels.map(({ sku, onHand, reserved, revision }) => ({
      cause,
      sku,
      onHand,
      reserved,
      revision,
    })),
  );
  const accounts = new Map<string, Account>();
  for (const [sku, entries] of Map.groupBy(history, (entry) => entry.sku)) {
    const account = openAccount();
    entries.sort((one, other) => Number(one.revision - other.revision));
    let last = 0n;
    for (const { cause, onHand, reserved, revision } of entries) {
      // An import tells once of a product that it changes several times in a row.
      const several = cause === StockChangeCause.IMPORTED && revision > last;
      const skipped = several ? revision - last - 1n : 0n;
      differences.compare(`revision after ${last} of ${sku}`, last + 1n, revision - skipped);
      last = revision;
      const kind = ACCOUNTS[cause];
      const moved = onHand - account.onHand;
      if (kind) account[kind] += kind === "sold" ? -moved : moved;
      else differences.compare(`on hand of ${sku} moved by ${StockChangeCause[cause]}`, 0n, moved);
      account.onHand = onHand;
      account.reserved = reserved;
    }
    accounts.set(sku, account);
  }
  return accounts;
}

function openAccount(): Account {
  return { onHand: 0n, reserved: 0n, loaded: 0n, sold: 0n, returned: 0n };
}

function unitsByState({ reservations }: ShopTables): (state: string, sku: string) => bigint {
  const sums = new Map<string, bigint>();
  for (const { state, units } of reservations.values())
    for (const [sku, quantity] of units) {
      const key = `${state} ${sku}`;
      sums.set(key, (sums.get(key) ?? 0n) + quantity);
    }
  return (state, sku) => sums.get(`${state} ${sku}`) ?? 0n;
}
