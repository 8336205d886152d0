import {
  type DescMessage,
  type FileRegistry,
  fromJson,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { OrderCancelledSchema, OrderPlacedSchema } from "@emporium/contracts/orders/v1";
import { migrate, type Tx } from "@emporium/database";
import { Events, on, outboxEvent } from "@emporium/events";
import { testInfrastructure } from "@emporium/local/test";
import { schema } from "@emporium/orders";
import { newId } from "@emporium/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PrismaClient } from "../../services/orders/src/generated/prisma/client.ts";
import { messageOf, passOn, tomorrow } from "./image-types.ts";
import { openOrdersDatabase } from "./orders-database.ts";
import { releases } from "./releases.ts";

/** One stream that services with two contracts publish to, and consumers with either of them. */
let next: FileRegistry;

beforeAll(async () => {
  next = await tomorrow();
});

interface Taken {
  aggregateId: string;
  version: bigint;
  desc: DescMessage;
  message: Message;
}

/** A consumer that knows these types and keeps what it reads. */
class Reader {
  readonly taken: Taken[] = [];
  readonly #all = Promise.withResolvers<void>();

  constructor(
    private readonly types: DescMessage[],
    private readonly count: number,
  ) {}

  /** Resolves when it has read as many events as it should. */
  get all(): Promise<void> {
    return this.#all.promise;
  }

  handlers() {
    return this.types.map((desc) =>
      on<DescMessage, Tx<PrismaClient>>(desc, async (message, { aggregateId, version }) => {
        this.taken.push({ aggregateId, version, desc, message });
        if (this.taken.length === this.count) this.#all.resolve();
      }),
    );
  }

  versionsOf(aggregateId: string): bigint[] {
    const mine = this.taken.filter((one) => one.aggregateId === aggregateId);
    return mine.map(({ version }) => version);
  }

  find(aggregateId: string, version: bigint): Taken {
    return this.taken.find((one) => one.aggregateId === aggregateId && one.version === version)!;
  }
}

const known = [OrderPlacedSchema, OrderCancelledSchema];
const typesOf = (contract: FileRegistry): DescMessage[] =>
  known.map((like) => messageOf<DescMessage>(contract, like));

describe.each(releases())("a stream with events of $version and its successor", ({ image }) => {
  const [first, second] = [newId("ord"), newId("ord")];
  const open = new AsyncDisposableStack();
  let events: Events<PrismaClient>;
  let readers: Record<"older" | "todays" | "newer", Reader>;

  beforeAll(async () => {
    const { natsUrl: servers, ...infrastructure } = await testInfrastructure();
    const { certificates, freshPrefix, freshDatabase } = infrastructure;
    const url = await freshDatabase("events");
    await migrate({ url, schema: schema.schemaPath, migrations: schema.migrationsPath });
    const database = open.use(await openOrdersDatabase(url));
    const prefix = freshPrefix();
    const nats = { tls: await certificates.filesOf("orders") };
    events = open.use(await Events.connect({ servers, nats, prefix, source: "orders", database }));

    const [oldPlaced, oldCancelled] = typesOf(image);
    const [newPlaced, newCancelled] = typesOf(next);
    const shipped = next.getMessage("emporium.orders.v1.OrderShipped")!;
    await database.transaction(undefined, async (tx) => {
      const emit = (desc: DescMessage, aggregateId: string, version: number, json: JsonValue) =>
        tx.emit(outboxEvent(desc, { aggregateId, version, message: fromJson(desc, json) }));
      emit(oldPlaced!, first, 1, { order: { orderId: first } });
      emit(shipped, first, 2, { order: { orderId: first, state: "ORDER_STATE_SHIPPED" } });
      emit(newCancelled!, first, 3, { order: { orderId: first }, cancelledBy: "17850" });
      emit(newPlaced!, second, 1, { order: { orderId: second } });
      emit(oldCancelled!, second, 2, { order: { orderId: second } });
    });
    events.startRelay();
    readers = {
      older: new Reader(typesOf(image), 4),
      todays: new Reader(known, 4),
      newer: new Reader([...typesOf(next), shipped], 5),
    };
    for (const [name, reader] of Object.entries(readers))
      open.use(await events.consume({ name, from: "orders", handlers: reader.handlers() }));
    await Promise.all(Object.values(readers).map((reader) => reader.all));
  });

  afterAll(() => open.disposeAsync());

  test("a consumer takes in all that it knows, in order, and passes over what is new", async () => {
    for (const reader of [readers.older, readers.todays]) {
      expect(reader.versionsOf(first)).toEqual([1n, 3n]);
      expect(reader.versionsOf(second)).toEqual([1n, 2n]);
    }
    expect(await Array.fromAsync(events.deadLetters.list())).toEqual([]);
  });

  test("an older consumer passes on the fields that it does not know", () => {
    const { desc, message } = readers.older.find(first, 3n);
    const newer = messageOf<DescMessage>(next, OrderCancelledSchema);
    expect(toJson(desc, message)).toEqual({ order: { orderId: first } });
    expect(toJson(newer, passOn(message, desc, newer))).toEqual({
      order: { orderId: first },
      cancelledBy: "17850",
    });
  });

  test("a newer consumer takes in both, and what an older event does not have is empty", () => {
    const { newer } = readers;
    expect(newer.versionsOf(first)).toEqual([1n, 2n, 3n]);
    expect(newer.versionsOf(second)).toEqual([1n, 2n]);
    expect(newer.find(first, 3n).message).toMatchObject({ cancelledBy: "17850" });
    expect(newer.find(second, 2n).message).toMatchObject({ cancelledBy: "" });
  });
});
