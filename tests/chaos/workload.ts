import { CancelReason, ReturnReason } from "@emporium/contracts/orders/v2";
import { PreconditionFailureSchema } from "@emporium/contracts/google/rpc";
import { findDetail, reasonOf } from "@emporium/grpc";
import type { Shop } from "@emporium/local";
import { newId, relatedId } from "@emporium/runtime";
import { type Clients, openClients, untilAnswered } from "./clients.ts";
import type { Operation, Step } from "./history.ts";
import { type Random, seeded } from "./random.ts";

/** What the clients of a run have seen. */
export class Seen {
  /** Calls by the product that they are about, for `firstViolation`. */
  readonly operations = new Map<string, Operation[]>();
  /** Beginning and end of each call, by `performance.now()`. */
  readonly calls: { start: number; end: number }[] = [];
  /** Answers, counted: COMPLETED, or why not. */
  readonly answers = new Map<string, number>();
  /** What no caller may ever see. */
  readonly wrong: string[] = [];

  readonly #waiting = new Set<Promise<unknown>>();

  /** Waits until everybody has an answer who waits for one now. */
  async recovered(): Promise<void> {
    await Promise.all(this.#waiting);
  }

  /** Notes beginning and end of a call. */
  async time<T>(work: () => Promise<T>) {
    const start = performance.now();
    const working = work();
    const waiting = working.catch(() => undefined);
    this.#waiting.add(waiting);
    const result = await working.finally(() => this.#waiting.delete(waiting));
    const end = performance.now();
    this.calls.push({ start, end });
    return { start, end, result };
  }

  add(sku: string, operation: Operation): void {
    const list = this.operations.get(sku) ?? [];
    list.push(operation);
    this.operations.set(sku, list);
  }

  count(answer: string): void {
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
  }
}

/** What the shop sells: one product that everybody wants, and others. */
export interface Shelf {
  hot: string;
  others: readonly string[];
  /** Only these come back: when, no caller can tell, so their history is left to the audit. */
  returned: readonly string[];
}

interface Client {
  name: string;
  random: Random;
  clients: Clients;
  shelf: Shelf;
  seen: Seen;
  /** Fires when answers are waited for no longer. */
  patience: AbortSignal;
}

const TOKENS = [
  ...Array.from({ length: 13 }, () => "tok_approve"),
  "tok_decline",
  "tok_decline",
  "tok_slow",
  "tok_slow",
  "tok_flaky",
  "tok_flaky",
  "tok_answer_lost",
];

/** Clients that buy, look and call off, from the moment they enter until they leave. */
export class Customers implements Disposable {
  readonly seen = new Seen();
  readonly #ending = new AbortController();
  readonly #patience = new AbortController();
  readonly #clients: Clients;
  readonly #shopping: Promise<unknown>;

  private constructor(
    clients: Clients,
    { count, seed, shelf }: { count: number; seed: number; shelf: Shelf },
  ) {
    this.#clients = clients;
    const parts = { clients: this.#clients, shelf, seen: this.seen };
    this.#shopping = Promise.all(
      Array.from({ length: count }, (_, index) =>
        this.#live({
          ...parts,
          patience: this.#patience.signal,
          name: `client-${index}`,
          random: seeded(seed * 1_000 + index),
        }),
      ),
    );
  }

  static async enter(
    shop: Shop,
    options: { count: number; seed: number; shelf: Shelf },
  ): Promise<Customers> {
    return new Customers(await openClients(shop), options);
  }

  /** Lets them finish what they have begun, within a bound; tells how many milliseconds it took. */
  async leave(boundMs: number): Promise<number> {
    const start = performance.now();
    this.#ending.abort();
    const limit = setTimeout(() => this.#patience.abort(), boundMs);
    await this.#shopping;
    clearTimeout(limit);
    return Math.round(performance.now() - start);
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
    this.#patience.abort();
    this.#clients[Symbol.dispose]();
  }

  async #live(client: Client): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const dice = client.random.number();
      const act = dice < 0.35 ? look : dice < 0.45 ? buyAndCallOff : buy;
      await act(client).catch((error: unknown) => {
        client.seen.wrong.push(`${client.name} never got an answer: ${String(error)}`);
      });
    }
  }
}

async function look(client: Client): Promise<void> {
  const { random, shelf, clients, seen, patience } = client;
  const skus = [shelf.hot, random.pick(shelf.others)];
  const { start, end, result } = await seen.time(() =>
    // A look that failed is another look when it is tried again.
    untilAnswered(patience, () => clients.inventory.checkStock({ skus })),
  );
  for (const { level } of result.items) {
    if (!level) continue;
    const step: Step = {
      kind: "read",
      onHand: Number(level.onHand),
      reserved: Number(level.reserved),
    };
    seen.add(level.sku, {
      what: `${client.name} looks at ${level.sku}`,
      start,
      end,
      steps: [step],
    });
  }
}

type Line = { sku: string; quantity: number };

async function buy(client: Client): Promise<void> {
  const { random, shelf } = client;
  const others = random.shuffle(shelf.others).slice(0, random.whole(0, 2));
  const skus = others.length === 0 || random.number() < 0.6 ? [shelf.hot, ...others] : others;
  const lines = skus.map((sku) => ({ sku, quantity: random.whole(1, 3) }));
  await purchase(client, lines, random.pick(TOKENS));
}

async function buyAndCallOff(client: Client): Promise<void> {
  const { random, shelf, clients, patience } = client;
  const line = { sku: random.pick(shelf.returned), quantity: random.whole(1, 3) };
  const bought = await purchase(client, [line], "tok_approve");
  if (!bought) return;
  const { orderId } = bought;
  if (random.number() < 0.5)
    await untilAnswered(patience, () =>
      clients.orders.cancelOrder({ orderId, reason: CancelReason.CUSTOMER_REQUEST }),
    );
  else {
    const reason = ReturnReason.UNWANTED;
    const goods = { returnId: newId("ret"), orderId, customerId: client.name, reason };
    const lines = [{ sku: line.sku, quantity: 1n }];
    await untilAnswered(patience, () => clients.orders.returnItems({ ...goods, lines }));
  }
}

/** Buys, at times by two calls at once or one after the other, and looks at the order at once. */
async function purchase(client: Client, lines: Line[], paymentToken: string) {
  const { random, clients, seen, patience, shelf } = client;
  const checkoutId = newId("chk");
  const request = {
    checkoutId,
    customerId: client.name,
    basket: {
      case: "cart" as const,
      value: { lines: lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })) },
    },
    paymentToken,
    shippingAddress: { country: "GB" },
  };
  const ask = () =>
    untilAnswered(patience, () => clients.checkout.completeOrder(request)).then(
      () => ({ answer: "COMPLETED", error: undefined }),
      (error: unknown) => ({ answer: reasonOf(error)?.reason ?? "NONE", error }),
    );
  const { start, end, result } = await seen.time(async () => {
    const answers = await Promise.all(random.number() < 0.1 ? [ask(), ask()] : [ask()]);
    if (random.number() < 0.1) answers.push(await ask());
    const first = answers[0];
    if (answers.some(({ answer }) => answer !== first.answer))
      seen.wrong.push(`${checkoutId}: ${answers.map(({ answer }) => answer).join(", ")}`);
    return first;
  });
  seen.count(result.answer);
  if (result.answer === "NONE") seen.wrong.push(`${checkoutId}: ${String(result.error)}`);
  const short = violatedIn(result.error);
  for (const { sku, quantity: units } of lines)
    if (!shelf.returned.includes(sku))
      seen.add(sku, {
        what: `${checkoutId} of ${units} ${sku}: ${result.answer}`,
        start,
        end: result.answer === "NONE" ? Infinity : end,
        steps: stepsOf(result.answer, units, short.has(sku)),
      });
  if (result.answer !== "COMPLETED") return undefined;
  const orderId = relatedId("ord", checkoutId);
  const { order } = await untilAnswered(patience, () => clients.orders.getOrder({ orderId })).catch(
    () => ({ order: undefined }),
  );
  if (order?.orderId !== orderId) seen.wrong.push(`${orderId} was bought and is not there`);
  return { orderId };
}

/** Products that a refusal says there are too few of. */
function violatedIn(error: unknown): Set<string> {
  const { violations = [] } = findDetail(error, PreconditionFailureSchema) ?? {};
  return new Set(violations.map(({ subject }) => subject));
}

function stepsOf(answer: string, units: number, short: boolean): Step[] {
  switch (answer) {
    case "OUT_OF_STOCK":
      return short ? [{ kind: "short", units }] : [];
    case "PAYMENT_DECLINED":
    case "PAYMENT_UNAVAILABLE":
    case "RESERVATION_EXPIRED":
      return [
        { kind: "reserve", units },
        { kind: "release", units },
      ];
    default:
      return [
        { kind: "reserve", units },
        { kind: "commit", units },
      ];
  }
}
