import { randomUUID } from "node:crypto";
import { Database } from "@emporium/database";
import { Inject, Injectable } from "@nestjs/common";
import { COLUMNS, fromStored, type StoredCheckout } from "./checkouts.js";
import type { CheckoutRow } from "./checkout-row.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";

/** A checkout that was taken over. */
export interface TakenCheckout {
  checkout: CheckoutRow;
  /** Whether another process had it before. */
  fromAnother: boolean;
}

/**
 * Who drives which checkout. A lease is a right to write: its fence is checked in the statement
 * that writes, so that a process which overslept its lease changes nothing any more. Times are the
 * database's, since the clocks of replicas may be minutes apart.
 */
@Injectable()
export class Leases {
  /** Names this process. */
  readonly owner = randomUUID();
  /** How long a lease lasts unless it is renewed. */
  readonly milliseconds: number;

  constructor(
    private readonly database: Database<PrismaClient>,
    @Inject(SETTINGS) { saga }: Settings,
  ) {
    this.milliseconds = saga.leaseMs;
  }

  /** Takes over up to `limit` checkouts whose lease has run out, those not in `except`. */
  async takeOver(
    limit: number,
    except: readonly string[],
    signal: AbortSignal,
  ): Promise<TakenCheckout[]> {
    const taken = await this.database.query<StoredCheckout & { owner: string }>(signal, TAKE_OVER, [
      this.owner,
      this.milliseconds,
      limit,
      except,
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

  /** Lets a checkout go that is not finished, so that somebody else takes it over at once. */
  async release({ checkoutId, fence }: CheckoutRow): Promise<void> {
    await this.database.query(undefined, RELEASE, [checkoutId, fence]);
  }
}

/*
 * Not Prisma, which has neither SKIP LOCKED nor the database's clock: replicas that look at the same
 * moment get different checkouts, and the fence rises in the statement that takes.
 */
const TAKE_OVER = `
  UPDATE checkouts
  SET lease_owner = $1, lease_until = now() + $2 * interval '1 millisecond', fence = fence + 1
  FROM (
    SELECT checkout_id, lease_owner FROM checkouts
    WHERE state = 'RUNNING' AND lease_until < now() AND checkout_id <> ALL ($4::text[])
    ORDER BY lease_until LIMIT $3
    FOR UPDATE SKIP LOCKED
  ) AS due
  WHERE checkouts.checkout_id = due.checkout_id
  RETURNING ${COLUMNS}, due.lease_owner AS owner`;

const RENEW = `
  UPDATE checkouts SET lease_until = now() + $3 * interval '1 millisecond'
  WHERE checkout_id = ANY ($1::text[]) AND lease_owner = $2 AND state = 'RUNNING'`;

const RELEASE = `
  UPDATE checkouts SET lease_until = now()
  WHERE checkout_id = $1 AND fence = $2 AND state = 'RUNNING'`;
