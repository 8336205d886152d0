import type { PrismaClientLike } from "@emporium/database";
import type { JsMsg } from "@nats-io/jetstream";
import { BURIED } from "./consumer.js";
import { delivered } from "./delivery.js";
import { pullDurable } from "./durable.js";
import { MalformedEventError } from "./envelope.js";
import type { Inbox } from "./inbox.js";
import type { Intake } from "./intake.js";
import type { Link, Session } from "./link.js";
import type { Logger } from "./logger.js";
import type { Names, Source } from "./names.js";

const RETRY_MS = 1_000;

interface SweepParts<Client extends PrismaClientLike> {
  link: Link;
  names: Names;
  logger: Logger;
  inbox: Inbox<Client>;
  intake: Intake<Client>;
  name: string;
  from: Source;
}

/** The parts used of io.nats.jetstream.advisory.v1.max_deliver and .terminated. */
interface Advisory {
  stream_seq: number;
  reason?: string;
}

/**
 * Makes dead letters of messages whose delivery the server gave up while no consumer could: it
 * died on the last one. The server says so once, on a subject that a stream of ours keeps.
 */
export async function sweepAdvisories<Client extends PrismaClientLike>(
  { link, names, logger, inbox, intake, name, from }: SweepParts<Client>,
  signal: AbortSignal,
): Promise<void> {
  const sweep = async (message: JsMsg, { management }: Session): Promise<void> => {
    const { stream_seq: seq, reason } = message.json<Advisory>();
    if (reason === BURIED) return;
    const stored = await management.streams.getMessage(names.stream(from), { seq });
    if (!stored) return;
    const event = delivered(stored);
    if (await inbox.has(event.id, signal)) return;
    const error = reason ?? "the server gave its delivery up";
    await intake.bury(event, "DELIVERY_GIVEN_UP", error, signal);
  };
  const receive = async (message: JsMsg, session: Session): Promise<void> => {
    try {
      await sweep(message, session);
      message.ack();
    } catch (error) {
      logger.error({ err: error, consumer: name }, "A lost delivery waits for its dead letter");
      if (error instanceof MalformedEventError) message.term();
      else message.nak(RETRY_MS);
    }
  };
  const config = {
    durable_name: name,
    filter_subjects: names.advisories(from, name),
    max_ack_pending: 100,
  };
  const stream = names.advisoryStream(from);
  await pullDurable({ link, stream, config, ahead: 10, logger, receive }, signal);
}
