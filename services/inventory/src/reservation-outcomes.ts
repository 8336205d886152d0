import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import {
  Reason,
  type Reservation,
  ReservationSchema,
  ReservationState,
  StockChangeCause,
  type StockLine,
} from "@emporium/contracts/inventory/v1";
import type { OutboxRow } from "@emporium/database";
import type { Context } from "@opentelemetry/api";
import { failure, MOST_VIOLATIONS, productNotFound } from "./failure.js";
import { bySku, type Stock, stockChanged } from "./stock.js";

/** What is asked of a reservation. `expire` is the sweep's: it only lets time take effect. */
export interface Ask {
  kind: "reserve" | "commit" | "release" | "expire";
  id: string;
  /** What to reserve. */
  lines?: StockLine[];
  /** The trace of whoever asks, where the event belongs; that of the running code where absent. */
  trace?: Context;
}

/** A product of which too little was available when a reservation was refused. */
export interface Shortage {
  sku: string;
  wanted: number;
  available: number;
}

/** A reservation as the books have it. */
export interface Entry {
  reservation: Reservation;
  shortages: Shortage[];
}

/** What one transaction decides on: all in it is locked, and all that changes is saved or nothing. */
export interface Ledger {
  now: Date;
  /** How long a reservation holds its units, in milliseconds. */
  ttlMs: number;
  stock: Stock;
  entries: Map<string, Entry>;
  /** Ids whose entry was made or changed. */
  changed: Set<string>;
  events: OutboxRow[];
}

/** CLOSED: released before it was ever reserved. UNSPECIFIED: no reservation has this id. */
type Standing = "CLOSED" | keyof typeof ReservationState;

/**
 * The life of a reservation: what is asked, where the reservation stands once time has taken
 * effect, what follows. Capitals are failures, with what is wrong. Two rules stand outside: asking
 * to reserve other lines than the id stands for comes before this table, and `hold` finds out
 * whether there is enough.
 */
const OUTCOMES = {
  reserve: {
    UNSPECIFIED: "hold",
    CLOSED: "NOT_HELD",
    HELD: "same",
    COMMITTED: "same",
    RELEASED: "same",
    EXPIRED: "same",
    REFUSED: "OUT_OF_STOCK",
  },
  commit: {
    UNSPECIFIED: "NOT_FOUND",
    CLOSED: "NOT_HELD",
    HELD: "sell",
    COMMITTED: "same",
    RELEASED: "NOT_HELD",
    EXPIRED: "EXPIRED",
    REFUSED: "NOT_HELD",
  },
  release: {
    UNSPECIFIED: "close",
    CLOSED: "same",
    HELD: "give back",
    COMMITTED: "COMMITTED",
    RELEASED: "same",
    EXPIRED: "same",
    REFUSED: "same",
  },
  expire: {
    UNSPECIFIED: "NOT_FOUND",
    CLOSED: "same",
    HELD: "same",
    COMMITTED: "same",
    RELEASED: "same",
    EXPIRED: "same",
    REFUSED: "same",
  },
} as const satisfies Record<Ask["kind"], Record<Standing, string>>;

/**
 * Decides one ask, in memory: moves stock, makes or changes the entry, notes the event. Returns the
 * reservation, or the failure that the contract names. Also a failure can change the ledger: a
 * refusal is remembered, and a commit that comes too late lets the reservation expire.
 */
export function decide(ask: Ask, ledger: Ledger): Reservation | ConnectError {
  const entry = ledger.entries.get(ask.id) ?? unknownEntry(ask.id);
  const { id, lines = [] } = ask;
  if (isDue(entry, ledger.now)) end(entry, "EXPIRED", ledger);
  if (ask.kind === "reserve" && standsForOthers(entry, lines)) return mismatch(id);
  switch (OUTCOMES[ask.kind][standingOf(entry)]) {
    case "same":
      return entry.reservation;
    case "hold":
      return hold(id, lines, ledger);
    case "close":
      return enter(id, { state: ReservationState.RELEASED }, ledger).reservation;
    case "sell":
      return end(entry, "COMMITTED", ledger);
    case "give back":
      return end(entry, "RELEASED", ledger);
    case "OUT_OF_STOCK":
      return outOfStock(entry);
    case "NOT_FOUND":
      return notFound(id);
    case "NOT_HELD":
      return wrongState(Reason.RESERVATION_NOT_HELD, entry, "holds nothing");
    case "EXPIRED":
      return wrongState(Reason.RESERVATION_EXPIRED, entry, "was not committed in time");
    case "COMMITTED":
      return wrongState(Reason.RESERVATION_COMMITTED, entry, "is committed already");
  }
}

function hold(id: string, lines: StockLine[], ledger: Ledger): Reservation | ConnectError {
  const { stock, now, ttlMs } = ledger;
  const unknown = lines
    .map(({ sku }, index) => ({ field: `lines[${index}].sku`, sku }))
    .filter(({ sku }) => !stock.level(sku));
  if (unknown.length > 0) return productNotFound(unknown);

  const sorted = lines.toSorted(bySku);
  const shortages = sorted
    .filter(({ sku, quantity }) => !stock.admits(sku, { reserved: quantity }))
    .map(({ sku, quantity }) => ({
      sku,
      wanted: Number(quantity),
      available: Number(stock.level(sku)?.available),
    }));
  if (shortages.length > 0)
    return outOfStock(
      enter(id, { state: ReservationState.REFUSED, lines: sorted, shortages }, ledger),
    );

  const levels = sorted.map(({ sku, quantity }) => stock.move(sku, { reserved: quantity }));
  ledger.events.push(stockChanged(StockChangeCause.RESERVED, { id, version: 1 }, levels));
  const expireTime = timestampFromDate(new Date(now.getTime() + ttlMs));
  return enter(id, { state: ReservationState.HELD, lines: sorted, expireTime }, ledger).reservation;
}

interface Beginning {
  state: ReservationState;
  lines?: StockLine[];
  expireTime?: Timestamp;
  shortages?: Shortage[];
}

function enter(id: string, { shortages = [], ...made }: Beginning, ledger: Ledger): Entry {
  const createTime = timestampFromDate(ledger.now);
  const reservation = create(ReservationSchema, { ...made, reservationId: id, createTime });
  const entry = { reservation, shortages };
  ledger.entries.set(id, entry);
  ledger.changed.add(id);
  return entry;
}

function end(entry: Entry, state: "COMMITTED" | "RELEASED" | "EXPIRED", ledger: Ledger) {
  const { reservationId: id, lines } = entry.reservation;
  const levels = lines.map(({ sku, quantity }) =>
    ledger.stock.move(sku, {
      reserved: -quantity,
      onHand: state === "COMMITTED" ? -quantity : 0n,
    }),
  );
  ledger.events.push(stockChanged(StockChangeCause[state], { id, version: 2 }, levels));
  ledger.changed.add(id);
  // a new message: an ask before this one in the same batch was answered with the old one
  entry.reservation = { ...entry.reservation, state: ReservationState[state] };
  return entry.reservation;
}

function unknownEntry(id: string): Entry {
  return { reservation: create(ReservationSchema, { reservationId: id }), shortages: [] };
}

function standingOf({ reservation: { state, lines } }: Entry): Standing {
  if (state === ReservationState.RELEASED && lines.length === 0) return "CLOSED";
  return ReservationState[state] as Standing;
}

function isDue({ reservation: { state, expireTime } }: Entry, now: Date): boolean {
  return state === ReservationState.HELD && !!expireTime && timestampDate(expireTime) <= now;
}

function standsForOthers({ reservation }: Entry, asked: StockLine[]): boolean {
  if (reservation.lines.length === 0) return false;
  const key = (lines: StockLine[]) =>
    lines
      .map(({ sku, quantity }) => `${sku} ${quantity}`)
      .toSorted()
      .join();
  return key(reservation.lines) !== key(asked);
}

function outOfStock({ shortages }: Entry): ConnectError {
  return failure(Reason.OUT_OF_STOCK, `Too few units are available of ${countOf(shortages)}`, {
    violations: shortages.slice(0, MOST_VIOLATIONS).map(({ sku, wanted, available }) => ({
      type: "STOCK",
      subject: sku,
      description: `${wanted} wanted, ${available} available`,
    })),
  });
}

function countOf({ length }: unknown[]): string {
  return length === 1 ? "one product" : `${length} products`;
}

function mismatch(id: string): ConnectError {
  return failure(
    Reason.RESERVATION_MISMATCH,
    `Reservation ${id} stands for other lines`,
    resource(id, "stands for other lines"),
  );
}

function notFound(id: string): ConnectError {
  return failure(
    Reason.RESERVATION_NOT_FOUND,
    `There is no reservation ${id}`,
    resource(id, "does not exist"),
  );
}

function resource(resourceName: string, description: string) {
  return { resourceType: ReservationSchema.typeName, resourceName, description };
}

function wrongState(reason: Reason, { reservation }: Entry, what: string): ConnectError {
  const { reservationId: subject, state } = reservation;
  return failure(reason, `Reservation ${subject} ${what}`, {
    violations: [
      { type: "RESERVATION_STATE", subject, description: `it is ${ReservationState[state]}` },
    ],
  });
}
