import type { PrismaClientLike } from "@emporium/database";
import type { JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";
import { pullDurable } from "./durable.js";
import type { Inbox } from "./inbox.js";
import type { Answer, Intake } from "./intake.js";
import type { Link, Session } from "./link.js";
import type { Logger } from "./logger.js";
import type { Names, Source } from "./names.js";
import { pause } from "./pause.js";
import { WaitingRoom } from "./waiting-room.js";

/** Messages that wait for a retry or for a predecessor; only past this would others be held up. */
const MAX_WAITING = 10_000;
const FIRST_TROUBLE_MS = 1_000;
const LONGEST_TROUBLE_MS = 30_000;
/** Says in the server's advisory that a terminated message is already a dead letter. */
export const BURIED = "dead letter written";

export interface ConsumerOptions {
  name: string;
  from: Source;
  concurrency: number;
  ackWaitMs: number;
  maxDeliver: number;
}

interface ConsumerParts<Client extends PrismaClientLike> {
  link: Link;
  inbox: Inbox<Client>;
  intake: Intake<Client>;
  names: Names;
  logger: Logger;
}

/**
 * One durable consumer. It takes the events of each aggregate one after the other, those of
 * different aggregates side by side, and the events that it has no handler for too: only so it
 * sees that none is missing.
 */
export class Consumer<Client extends PrismaClientLike> {
  readonly #options: ConsumerOptions;
  readonly #parts: ConsumerParts<Client>;
  readonly #waiting: WaitingRoom;
  /** The last message under way of each aggregate; the next one begins after it. */
  readonly #chains = new Map<string, Promise<void>>();
  readonly #early = new Set<Promise<void>>();
  #underWay = 0;
  #freed = Promise.withResolvers<void>();
  #trouble = false;
  /** How long to wait when the database or the server gives trouble; more each time in a row. */
  #troubleMs = FIRST_TROUBLE_MS;

  constructor(options: ConsumerOptions, parts: ConsumerParts<Client>) {
    this.#options = options;
    this.#parts = parts;
    this.#waiting = new WaitingRoom((events, signal) => parts.inbox.positions(events, signal));
  }

  /** Runs until the signal fires; what is under way then is rolled back and delivered again. */
  async run(signal: AbortSignal): Promise<void> {
    const { names, link, logger } = this.#parts;
    const { name, from, ackWaitMs, concurrency, maxDeliver } = this.#options;
    const config = {
      durable_name: name,
      filter_subjects: [names.events(from), names.redrives(from, name)],
      ack_wait: nanos(ackWaitMs),
      max_deliver: maxDeliver,
      max_ack_pending: MAX_WAITING,
    };
    const receive = async (message: JsMsg, session: Session): Promise<void> => {
      this.#begin(message, session, signal);
      await this.#room(signal);
    };
    const stream = names.stream(from);
    await pullDurable({ link, stream, config, ahead: concurrency * 2, logger, receive }, signal);
    while (this.#chains.size + this.#early.size > 0) {
      await Promise.all([...this.#chains.values(), ...this.#early]);
    }
  }

  /** Resolves when another message may come: there is room, and after trouble the database answers. */
  async #room(signal: AbortSignal): Promise<void> {
    while (this.#underWay >= this.#options.concurrency) {
      this.#freed = Promise.withResolvers();
      await this.#freed.promise;
    }
    if (!this.#trouble) return;
    do await pause(this.#troubleMs, signal);
    while (!signal.aborted && !(await this.#databaseAnswers(signal)));
    this.#trouble = false;
    this.#troubleMs = Math.min(this.#troubleMs * 2, LONGEST_TROUBLE_MS);
  }

  #databaseAnswers(signal: AbortSignal): Promise<boolean> {
    return this.#parts.inbox.ping(signal).then(
      () => true,
      () => false,
    );
  }

  #begin(message: JsMsg, session: Session, signal: AbortSignal): void {
    const aggregate = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    const before = this.#chains.get(aggregate) ?? Promise.resolve();
    const mine = before
      .then(() => this.#settle(message, session, signal))
      .finally(() => {
        if (this.#chains.get(aggregate) === mine) this.#chains.delete(aggregate);
        this.#underWay -= 1;
        this.#freed.resolve();
      });
    this.#chains.set(aggregate, mine);
    this.#underWay += 1;
  }

  /** Never rejects. */
  async #settle(message: JsMsg, session: Session, signal: AbortSignal): Promise<void> {
    if (session.signal.aborted) return;
    this.#tell(session, () => message.working());
    const answer = await this.#parts.intake
      .receive(message, session, signal)
      .catch((error: unknown): Answer => {
        if (signal.aborted) return { kind: "again", afterMs: 0 };
        this.#trouble = true;
        this.#parts.logger.error({ err: error, ...this.#label }, "A consumer is in trouble");
        return { kind: "again", afterMs: this.#troubleMs };
      });
    switch (answer.kind) {
      case "done":
        this.#troubleMs = FIRST_TROUBLE_MS;
        this.#tell(session, () => message.ack());
        return this.#waiting.advance(answer.event);
      case "buried":
        return this.#tell(session, () => message.term(BURIED));
      case "again":
        return this.#tell(session, () => message.nak(answer.afterMs));
      case "early": {
        const waiting = this.#wait(message, answer, session, signal).finally(() =>
          this.#early.delete(waiting),
        );
        this.#early.add(waiting);
      }
    }
  }

  async #wait(
    message: JsMsg,
    { event, afterMs }: Answer & { kind: "early" },
    session: Session,
    signal: AbortSignal,
  ): Promise<void> {
    const turn = await this.#waiting.stay(event, signal);
    if (turn) this.#begin(message, session, signal);
    else this.#tell(session, () => message.nak(signal.aborted ? 0 : afterMs));
  }

  /** Answers the server. After a break the answer would be taken for one to another message. */
  #tell(session: Session, answer: () => void): void {
    if (session.signal.aborted) return;
    try {
      answer();
    } catch (error) {
      // The message comes again, and its event will be found among those that were taken in.
      this.#parts.logger.warn({ err: error, ...this.#label }, "An answer did not go out");
    }
  }

  get #label() {
    return { consumer: this.#options.name, source: this.#options.from };
  }
}
