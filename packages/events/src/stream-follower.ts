import { DeliverPolicy, type ConsumerMessages, type JsMsg } from "@nats-io/jetstream";
import { stopOn } from "./durable.js";
import { fromHeaders, MalformedEventError } from "./envelope.js";
import { Feed, FeedEvent } from "./feed.js";
import type { Link, Session } from "./link.js";
import type { Logger } from "./logger.js";
import type { Names, Source } from "./names.js";
import { pause } from "./pause.js";
import type { StreamPosition } from "./position.js";
import { incarnationOf } from "./streams.js";

const RETRY_MS = 250;
const AHEAD = 500;
/** After a longer break than this many events, watchers read the database instead. */
const CATCH_UP_LIMIT = 10_000;

interface FollowerParts {
  link: Link;
  names: Names;
  source: Source;
  logger: Logger;
}

/** Makes the feed of a source; its subscription begins with the first watcher. */
export function openFeed(parts: FollowerParts, signal: AbortSignal): [Feed, () => Promise<void>] {
  let following: Promise<void> | undefined;
  const feed: Feed = new Feed({
    onFirst: () => void (following ??= follow(feed, parts, signal)),
    replay: (from, until, options) => replay(parts, from, until, options),
  });
  return [feed, async () => following];
}

/** Feeds it through breaks and lost streams until the signal fires. */
async function follow(feed: Feed, parts: FollowerParts, signal: AbortSignal): Promise<void> {
  const { link, names, source, logger } = parts;
  let last: StreamPosition | undefined;
  while (!signal.aborted) {
    try {
      const session = await link.connected(signal);
      const info = await session.management.streams.info(names.stream(source));
      const incarnation = incarnationOf(info);
      const behind = last?.incarnation === incarnation ? info.state.last_seq - last.sequence : -1;
      const unbroken = behind >= 0 && behind <= CATCH_UP_LIMIT;
      const position = unbroken ? last! : { incarnation, sequence: info.state.last_seq };
      const { messages } = await readFrom(session, names, source, position.sequence + 1);
      if (unbroken) feed.tellBack(position);
      else feed.tellGap(position);
      last = position;
      using _stop = stopOn(messages, [signal, session.signal]);
      for await (const message of messages) {
        const event = readEvent(message, incarnation, logger);
        last = { incarnation, sequence: message.seq };
        if (event) feed.tell(event);
      }
    } catch (error) {
      if (!signal.aborted) logger.debug({ err: error, source }, "A feed has to wait");
    }
    feed.tellAway();
    await pause(RETRY_MS, signal);
  }
}

async function replay(
  { link, names, source, logger }: FollowerParts,
  from: StreamPosition,
  until: StreamPosition,
  { limit, signal }: { limit: number; signal: AbortSignal },
): Promise<AsyncIterable<FeedEvent> | undefined> {
  const { session } = link;
  if (!session) return undefined;
  const info = await session.management.streams.info(names.stream(source));
  const { first_seq, last_seq } = info.state;
  const incarnation = incarnationOf(info);
  const known = [from, until].every((position) => position.incarnation === incarnation);
  const there = from.sequence + 1 >= first_seq && from.sequence <= last_seq;
  if (!known || !there || until.sequence - from.sequence > limit) return undefined;
  return eventsBetween();

  async function* eventsBetween(): AsyncGenerator<FeedEvent> {
    if (from.sequence >= until.sequence) return;
    const { messages, pending } = await readFrom(session!, names, source, from.sequence + 1);
    if (pending === 0) return void messages.close();
    using _stop = stopOn(messages, [signal, session!.signal]);
    for await (const message of messages) {
      if (message.seq > until.sequence) return;
      const event = readEvent(message, incarnation, logger);
      if (event) yield event;
      if (message.seq === until.sequence || message.info.pending === 0) return;
    }
    signal.throwIfAborted();
    throw new Error("NATS went away during a replay");
  }
}

/** An ordered consumer: the client makes it again where it stopped if a message is missing. */
async function readFrom(
  { client }: Session,
  names: Names,
  source: Source,
  sequence: number,
): Promise<{ messages: ConsumerMessages; pending: number }> {
  const consumer = await client.consumers.get(names.stream(source), {
    filter_subjects: [names.events(source)],
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: sequence,
  });
  const { num_pending: pending } = await consumer.info(true);
  const messages = await consumer.consume({ max_messages: AHEAD, abort_on_missing_resource: true });
  return { messages, pending };
}

function readEvent(message: JsMsg, incarnation: string, logger: Logger): FeedEvent | undefined {
  try {
    const position = { incarnation, sequence: message.seq };
    return new FeedEvent(fromHeaders(message.headers), position, message.data);
  } catch (error) {
    if (!(error instanceof MalformedEventError)) throw error;
    logger.error({ err: error, sequence: message.seq }, "A message in the stream is no event");
    return undefined;
  }
}
