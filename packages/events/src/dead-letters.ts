import { headers as createHeaders, type MsgHdrs } from "@nats-io/nats-core";
import type { StoredMsg } from "@nats-io/jetstream";
import { v7 as uuidv7 } from "uuid";
import { fromHeaders, MalformedEventError, type EventMeta } from "./envelope.js";
import { Link, type NatsOptions, type Session } from "./link.js";
import { silent } from "./logger.js";
import { Names, type Source } from "./names.js";
import { OFFICE } from "./permissions.js";
import { nextMessage } from "./streams.js";

/**
 * Why an event became a dead letter: its handler failed each time; its payload or headers cannot be
 * read; an earlier event of its aggregate is a dead letter, or never came; its version was taken in
 * under another id; the server gave its delivery up.
 */
export const DEAD_REASONS = [
  "HANDLER_FAILED",
  "UNREADABLE",
  "PREDECESSOR_FAILED",
  "PREDECESSOR_MISSING",
  "VERSION_CONFLICT",
  "DELIVERY_GIVEN_UP",
] as const;

/** One of `DEAD_REASONS`. */
export type DeadReason = (typeof DEAD_REASONS)[number];

/** Names one dead letter. */
export interface DeadLetterKey {
  source: Source;
  consumer: string;
  eventId: string;
}

/** An event that a consumer could not take in, with all that is needed to look into it. */
export interface DeadLetter extends DeadLetterKey {
  reason: DeadReason;
  /** The last error, shortened. */
  error: string;
  /** Tries of the handler. */
  attempts: number;
  /** When it became one. */
  time: Date;
  /** The event's own headers; undefined if they cannot be read. */
  meta: EventMeta | undefined;
  payload: Uint8Array;
  /** Where the event came in. */
  subject: string;
}

/** On a redriven message: id of the event it repeats, for whom, and whether to skip its effect. */
export const REDRIVE_OF = "emporium-redrive-of";
const REDRIVE_FOR = "emporium-redrive-for";
export const REDRIVE_SKIPS = "emporium-redrive-skips";
const DEAD = "emporium-dead-";
const ERROR_LIMIT = 500;
const CONNECT_LIMIT_MS = 5_000;

/** Narrows a list or a redrive; nothing given means every dead letter of this prefix. */
export type DeadLetterFilter = Partial<Pick<DeadLetterKey, "source" | "consumer">>;

/**
 * The stream of dead letters. There is one letter for each event and consumer, under a subject of
 * its own, so writing one twice leaves one. A letter stays until its consumer has committed the
 * effect, so a redrive that is lost or fails again loses nothing. Everything here rejects with a
 * TimeoutError when NATS is away for longer than 5 s.
 */
export class DeadLetters {
  readonly #link: Link;
  readonly #names: Names;

  constructor(link: Link, names: Names) {
    this.#link = link;
    this.#names = names;
  }

  /** Keeps the letter, in place of an older one for the same event and consumer. */
  async write(letter: Omit<DeadLetter, "meta"> & { headers: MsgHdrs | undefined }): Promise<void> {
    const { source, consumer, eventId, payload } = letter;
    const headers = copyHeaders(letter.headers);
    headers.set(`${DEAD}reason`, letter.reason);
    headers.set(
      `${DEAD}error`,
      encodeURIComponent(letter.error.slice(0, ERROR_LIMIT).toWellFormed()),
    );
    headers.set(`${DEAD}attempts`, String(letter.attempts));
    headers.set(`${DEAD}time`, letter.time.toISOString());
    headers.set(`${DEAD}subject`, letter.subject);
    const { client } = await this.#session();
    await client.publish(this.#names.deadLetter(source, consumer, eventId), payload, { headers });
  }

  /**
   * The dead letters, oldest first.
   * @example
   *     for await (const letter of events.deadLetters.list({ consumer: "restock" }))
   *       console.log(letter.eventId, letter.reason, letter.error);
   */
  async *list(filter: DeadLetterFilter = {}): AsyncGenerator<DeadLetter> {
    for await (const stored of this.#stored(filter)) yield read(stored);
  }

  /** One dead letter; undefined if there is none (any more). */
  async show(key: DeadLetterKey): Promise<DeadLetter | undefined> {
    const stored = await this.#find(key);
    return stored ? read(stored) : undefined;
  }

  /**
   * Sends dead letters to their consumers again, each aggregate's in the order of its versions, and
   * gives their number. Each goes out under a new id, since the server drops an id it has seen, and
   * on a subject that only its own consumer reads.
   * @example
   *     await events.deadLetters.redrive({ source: "orders", consumer: "restock" });
   */
  async redrive(which: DeadLetterFilter | readonly DeadLetterKey[] = {}): Promise<number> {
    return this.#send(which, {});
  }

  /** Has the consumers pass over these events for good, so that later ones can come. */
  async discard(which: DeadLetterFilter | readonly DeadLetterKey[]): Promise<number> {
    return this.#send(which, { [REDRIVE_SKIPS]: "true" });
  }

  /** Takes the letter away, once its effect is committed. */
  async remove({ source, consumer, eventId }: DeadLetterKey): Promise<void> {
    const filter = this.#names.deadLetter(source, consumer, eventId);
    const { management } = await this.#session();
    await management.streams.purge(this.#names.deadLetterStream, { filter });
  }

  async #send(
    which: DeadLetterFilter | readonly DeadLetterKey[],
    extra: Record<string, string>,
  ): Promise<number> {
    const found = isList(which)
      ? await Promise.all(which.map((key) => this.#find(key)))
      : await Array.fromAsync(this.#stored(which));
    const letters = found.flatMap((stored) => {
      const letter = stored && read(stored);
      // Nothing can be done with headers that cannot be read but to look at them.
      return letter?.meta ? { ...letter, meta: letter.meta, header: stored!.header } : [];
    });
    letters.sort((one, other) => (one.meta.version < other.meta.version ? -1 : 1));
    for (const { source, consumer, eventId, meta, header, payload } of letters) {
      const headers = copyHeaders(header);
      headers.set(REDRIVE_OF, eventId);
      headers.set(REDRIVE_FOR, consumer);
      for (const [name, value] of Object.entries(extra)) headers.set(name, value);
      const subject = this.#names.redrive(source, consumer, meta.type, meta.aggregateId);
      const { client } = await this.#session();
      await client.publish(subject, payload, { headers, msgID: uuidv7() });
    }
    return letters.length;
  }

  async #find({ source, consumer, eventId }: DeadLetterKey): Promise<StoredMsg | null> {
    const last_by_subj = this.#names.deadLetter(source, consumer, eventId);
    const { management } = await this.#session();
    return management.streams.getMessage(this.#names.deadLetterStream, { last_by_subj });
  }

  async *#stored({ source, consumer }: DeadLetterFilter): AsyncGenerator<StoredMsg> {
    const next_by_subj = this.#names.deadLetters(source, consumer);
    for (let seq = 1; ;) {
      const { management } = await this.#session();
      const query = { seq, next_by_subj };
      const stored = await nextMessage(management, this.#names.deadLetterStream, query);
      if (!stored) return;
      yield stored;
      seq = stored.seq + 1;
    }
  }

  #session(): Promise<Session> {
    return this.#link.connected(AbortSignal.timeout(CONNECT_LIMIT_MS));
  }
}

/** Where the dead letters of a shop are. */
export interface DeadLettersOptions {
  /** Such as `nats://localhost:4222`. */
  servers: string | string[];
  /** Credentials and TLS. */
  nats?: NatsOptions;
  /** The shop's prefix of streams and subjects. */
  prefix: string;
}

/**
 * Opens the dead letters of a shop for a program that is none of its services. Dispose of the result
 * to disconnect. Rejects with an UnsupportedServerError for a server older than 2.10.23.
 * @example
 *     await using letters = await openDeadLetters({ servers: natsUrl, prefix: "emporium" });
 *     await letters.redrive({ consumer: "restock" });
 */
export async function openDeadLetters({
  servers,
  nats,
  prefix,
}: DeadLettersOptions): Promise<DeadLetters & AsyncDisposable> {
  const prepare = async () => undefined;
  const link = await Link.open({ servers, nats, name: OFFICE, logger: silent, prepare });
  const close = { [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
  return Object.assign(new DeadLetters(link, new Names(prefix)), close);
}

function read({ subject, header, data }: StoredMsg): DeadLetter {
  const [, , source, consumer, eventId] = subject.split(".");
  return {
    source: source as Source,
    consumer: consumer!,
    eventId: eventId!,
    reason: header.get(`${DEAD}reason`) as DeadReason,
    error: decodeURIComponent(header.get(`${DEAD}error`)),
    attempts: Number(header.get(`${DEAD}attempts`)),
    time: new Date(header.get(`${DEAD}time`)),
    subject: header.get(`${DEAD}subject`),
    meta: readMeta(header),
    payload: data,
  };
}

function readMeta(header: MsgHdrs): EventMeta | undefined {
  try {
    return fromHeaders(copyHeaders(header));
  } catch (error) {
    if (error instanceof MalformedEventError) return undefined;
    throw error;
  }
}

/** The event's own headers: not the server's, not those of the letter or of an earlier redrive. */
function copyHeaders(from: MsgHdrs | undefined): MsgHdrs {
  const copy = createHeaders();
  for (const [name, values] of from ?? []) {
    if (!/^(nats-|emporium-(dead|redrive)-)/i.test(name)) copy.set(name, values[0] ?? "");
  }
  return copy;
}

function isList<T>(which: object | readonly T[]): which is readonly T[] {
  return Array.isArray(which);
}
