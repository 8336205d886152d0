import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  CheckoutService,
  ShopSessionRequestSchema,
  ShopSessionResponse,
} from "@emporium/contracts/checkout/v1";
import type { Client } from "@emporium/grpc";

type Action = NonNullable<MessageInitShape<typeof ShopSessionRequestSchema>["action"]>;
type Update = ShopSessionResponse["update"];
/** What the shop says, by kind. */
type Updates = { [Each in Update as NonNullable<Each["case"]>]: Each["value"] };

/** One visit to the shop, said and heard step by step. */
export class Conversation implements AsyncDisposable {
  readonly #control = new AbortController();
  readonly #said: Action[] = [];
  readonly #heard: AsyncIterator<ShopSessionResponse>;
  #more = Promise.withResolvers<void>();
  #over = false;

  constructor(client: Client<typeof CheckoutService>) {
    const { signal } = this.#control;
    this.#heard = client.shopSession(this.#requests(), { signal })[Symbol.asyncIterator]();
  }

  say(action: Action): this {
    this.#said.push(action);
    this.#more.resolve();
    return this;
  }

  setLine(sku: string, quantity: bigint): this {
    return this.say({ case: "setLine", value: { sku, quantity } });
  }

  /** Says no more. */
  end(): this {
    this.#over = true;
    this.#more.resolve();
    return this;
  }

  /** Hangs up. */
  leave(): void {
    this.#control.abort();
  }

  /** The next message; `undefined` when the shop has ended the visit. */
  async next(): Promise<Update | undefined> {
    const { value, done } = await this.#heard.next();
    return done ? undefined : value.update;
  }

  /** The next message of this kind; those before it are passed over. */
  async hear<Case extends keyof Updates>(wanted: Case): Promise<Updates[Case]> {
    for (;;) {
      const update = await this.next();
      if (!update) throw new Error(`the visit ended before ${wanted}`);
      if (update.case === wanted) return update.value as Updates[Case];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end().leave();
    await this.#heard.next().catch(() => undefined);
  }

  async *#requests() {
    for (;;) {
      const action = this.#said.shift();
      if (action) yield { action };
      else if (this.#over) return;
      else {
        this.#more = Promise.withResolvers();
        await this.#more.promise;
      }
    }
  }
}
