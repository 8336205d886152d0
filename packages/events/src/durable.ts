import {
  AckPolicy,
  DeliverPolicy,
  type ConsumerConfig,
  type ConsumerMessages,
  type JsMsg,
} from "@nats-io/jetstream";
import type { Link, Session } from "./link.js";
import type { Logger } from "./logger.js";
import { pause } from "./pause.js";
import { differs, isMissing } from "./streams.js";

const RETRY_MS = 250;

export interface DurableOptions {
  link: Link;
  stream: string;
  config: Partial<ConsumerConfig> & { durable_name: string };
  /** Messages that the server may send ahead. */
  ahead: number;
  logger: Logger;
  /** Resolves when the next message may come; rejects when the pull must start over. */
  receive: (message: JsMsg, session: Session) => Promise<void>;
}

/**
 * Pulls a durable consumer's messages until the signal fires. It makes the consumer when it is not
 * there, again after the stream was lost, and waits while the stream or the server is away.
 */
export async function pullDurable(options: DurableOptions, signal: AbortSignal): Promise<void> {
  const { link, stream, config, logger } = options;
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const session = await link.connected(signal);
      await ensureConsumer(session, stream, config);
      failures = 0;
      await pullSession(options, session, signal);
    } catch (error) {
      if (signal.aborted) return;
      // The stream's owner may start later than its readers.
      const level = isMissing(error) || failures % 40 !== 0 ? "debug" : "error";
      logger[level](
        { err: error, stream, consumer: config.durable_name },
        "A consumer has to wait",
      );
      await pause(RETRY_MS, signal);
    }
  }
}

async function ensureConsumer(
  { management }: Session,
  stream: string,
  config: DurableOptions["config"],
): Promise<void> {
  const { durable_name: name } = config;
  const wanted = { ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ...config };
  const present = await management.consumers.info(stream, name).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (!present) await management.consumers.add(stream, wanted);
  else if (differs(present.config, wanted)) await management.consumers.update(stream, name, config);
}

async function pullSession(
  { stream, config, ahead, receive }: DurableOptions,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const consumer = await session.client.consumers.get(stream, config.durable_name);
  const messages = await consumer.consume({
    max_messages: ahead,
    abort_on_missing_resource: true,
  });
  using _stop = stopOn(messages, [signal, session.signal]);
  for await (const message of messages) {
    if (session.signal.aborted) return;
    // What was sent ahead goes to another process at once, not after the time for its answer.
    if (signal.aborted) message.nak();
    else await receive(message, session);
  }
}

/** Ends the iteration when one of the signals fires; disposing it takes the listeners away. */
export function stopOn(messages: ConsumerMessages, signals: readonly AbortSignal[]): Disposable {
  const stop = (): void => void messages.close();
  for (const signal of signals) {
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
  }
  return {
    [Symbol.dispose]() {
      for (const signal of signals) signal.removeEventListener("abort", stop);
      stop();
    },
  };
}
