import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { INBOX_RETENTION_MS } from "../src/intake.js";
import { Inbox } from "../src/inbox.js";
import { silent } from "../src/logger.js";
import { dropOldRows } from "../src/retention.js";
import { openDatabase, TestPostgres } from "./postgres.js";

const DAY_MS = 24 * 60 * 60_000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterEach(() => void vi.useRealTimers());
afterAll(() => postgres?.[Symbol.asyncDispose]());

/** A UUIDv7 of so many milliseconds ago. */
function idOf(agoMs: number): string {
  const hex = (Date.now() - agoMs).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${randomUUID().slice(15)}`;
}

test("a process whose clock is a month ahead keeps the ids of events that may come again", async () => {
  await using database = await openDatabase(await postgres.createDatabase());
  const [kept, old] = [idOf(DAY_MS), idOf(INBOX_RETENTION_MS + DAY_MS)];
  await database.query(
    undefined,
    "INSERT INTO inbox (consumer, event_id) SELECT 'one', id FROM unnest($1::uuid[]) AS id",
    [[kept, old]],
  );
  const inbox = new Inbox(database, "one");
  const pruned = new AbortController();
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 30 * DAY_MS });
  await dropOldRows(
    {
      database,
      retentionMs: INBOX_RETENTION_MS,
      prune: (below, signal) => inbox.prune(below, signal).finally(() => pruned.abort()),
    },
    silent,
    pruned.signal,
  ).catch(() => undefined);
  const rows = await database.query<{ id: string }>(undefined, "SELECT event_id AS id FROM inbox");
  expect(rows).toEqual([{ id: kept }]);
});
