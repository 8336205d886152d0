import { randomUUID } from "node:crypto";
import { Database } from "@emporium/database";
import { Inject, Injectable } from "@nestjs/common";
import { COLUMNS, fromStored, type StoredCheckout } from "./checkouts.js";
import type { CheckoutRow } from "./checkout-row.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";

/**
 * Nest's token for the pool that leases are kept with: a renewal must not wait behind the work that
 * the lease is for.
 */
export const LEASE_DATABASE = Symbol("LeaseDatabase");

/** A checkout that was taken over. */
export interface TakenCheckout {
  checkout: CheckoutRow;
  /** Whether another process had it before. */
  fromAnother: boolean;
}

/** A lease that has run out, as it was seen first. */
interface Expired {
  leaseUntil: string;
  /** By the monotonic clock. */
  sinceMs: number;
}

/**
 * Who drives which checkout. A lease is a right to write: its fence is checked in the statement
 * that writes, so that a process whose lease was taken changes nothing any more. Times are the
 * database's, since the clocks of replicas may be minutes apart.
 *
 * A lease that ran out does not prove that its owner is dead: Postgres may have stalled for both. So
 * another process takes a checkout only when it has seen the same expired lease for as long as a lease
 * lasts, in which a living owner renews it. A process that was offered the payment token goes first,
 * since without the token a payment that was not authorized can only be given up.
 */
@Injectable()
export class Leases {
  /** Names this process. */
  readonly owner = randomUUID();
  /** How long a lease lasts unless it is renewed. */
  readonly milliseconds: number;
  #expired = new Map<string, Expired>();

  constructor(
    @Inject(LEASE_DATABASE) private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) { saga }: Settings,
  ) {
    this.milliseconds = saga.leaseMs;
  }

  /**
   * Takes over up to `limit` checkouts that nobody drives, those not in `except`. `hasToken` says for
   * which of them this process knows the payment token.
   */
  async takeOver(
    limit: number,
    { except, hasToken }: { except: readonly string[]; hasToken: (checkoutId: string) => boolean },
    signal: AbortSignal,
  ): Promise<TakenCheckout[]> {
    const abandoned = await this.#findAbandoned(except, hasToken, signal);
    if (abandoned.length === 0) return [];
    const taken = await this.database.query<StoredCheckout & { owner: string }>(signal, TAKE_OVER, [
      this.owner,
      this.milliseconds,
      abandoned.slice(0, limit).map(({ checkoutId }) => checkoutId),
      abandoned.slice(0, limit).map(({ leaseUntil }) => leaseUntil),
    ]);
    return taken.map(({ owner, ...stored }) => ({
      checkout: fromStored(stored),
      fromAnother: owner !== this.owner,
    }));
  }

  /** Keeps the leases of checkouts that this process drives. */
  async renew(checkoutIds: readonly string[], signal: AbortSignal): Promise<void> {
    await this.database.query(signal, RENEW, [checkoutIds, this.owner, this.milliseconds]);
  }

  /** Lets a checkout go that is not finished, so that another process takes it over at once. */
  async release({ checkoutId, fence }: CheckoutRow): Promise<void> {
    await this.database.query(undefined, RELEASE, [checkoutId, fence]);
  }

  async #findAbandoned(
    except: readonly string[],
    hasToken: (checkoutId: string) => boolean,
    signal: AbortSignal,
  ): Promise<ExpiredLease[]> {
    const leases = await this.database.query<ExpiredLease>(signal, EXPIRED, [this.owner, except]);
    const nowMs = performance.now();
    const before = this.#expired;
    this.#expired = new Map();
    return leases.filter(({ checkoutId, leaseUntil, isFree }) => {
      const known = before.get(checkoutId);
      const seen = known?.leaseUntil === leaseUntil ? known : { leaseUntil, sinceMs: nowMs };
      this.#expired.set(checkoutId, seen);
      const graceMs = this.milliseconds * (hasToken(checkoutId) ? 1 : WITHOUT_TOKEN);
      return isFree || nowMs - seen.sinceMs >= graceMs;
    });
  }
}

/** How many leases a process waits that does not know the payment token. */
const WITHOUT_TOKEN = 1.5;

interface ExpiredLease {
  checkoutId: string;
  leaseUntil: string;
  /** It was released, or was this process's own. */
  isFree: boolean;
}

const EXPIRED = `
  SELECT checkout_id AS "checkoutId", lease_until::text AS "leaseUntil",
    lease_owner = $1 OR lease_until = '-infinity' AS "isFree"
  FROM checkouts
  WHERE state = 'RUNNING' AND lease_until < now() AND checkout_id <> ALL ($2::text[])
  ORDER BY lease_until LIMIT 1000`;

/*
 * Not Prisma, which has neither SKIP LOCKED nor the database's clock: replicas that look at the same
 * moment get different checkouts, and the fence rises in the statement that takes.
 */
const TAKE_OVER = `
  UPDATE checkouts
  SET lease_owner = $1, lease_until = now() + $2 * interval '1 millisecond', fence = fence + 1
  FROM (
    SELECT checkout_id, lease_owner
    FROM unnest($3::text[], $4::timestamptz[]) AS seen (checkout_id, lease_until)
    JOIN checkouts USING (checkout_id, lease_until)
    WHERE state = 'RUNNING'
    FOR UPDATE OF checkouts SKIP LOCKED
  ) AS abandoned
  WHERE checkouts.checkout_id = abandoned.checkout_id
  RETURNING ${COLUMNS}, abandoned.lease_owner AS owner`;

const RENEW = `
  UPDATE checkouts SET lease_until = now() + $3 * interval '1 millisecond'
  WHERE checkout_id = ANY ($1::text[]) AND lease_owner = $2 AND state = 'RUNNING'`;

const RELEASE = `
  UPDATE checkouts SET lease_until = '-infinity'
  WHERE checkout_id = $1 AND fence = $2 AND state = 'RUNNING'`;
