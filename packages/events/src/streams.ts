import { nanos } from "@nats-io/nats-core";
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StoredMsg,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { Names, Source } from "./names.js";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How the streams of a source are kept; times in milliseconds. */
export interface StreamOptions {
  /** How long the server drops messages with an id it has seen; 2 minutes if not given. */
  duplicateWindowMs?: number;
  /** How long an event stays in the stream; 7 days, as in the outbox, if not given. */
  maxAgeMs?: number;
  /** Servers that keep a copy, 1 to 5; 1 if not given, 3 in a cluster. */
  replicas?: number;
}

type Wanted = Partial<StreamConfig> & { name: string };

/** Makes the streams that a source needs, or brings their options up to date. */
export async function ensureStreams(
  management: JetStreamManager,
  names: Names,
  source: Source,
  options: StreamOptions,
): Promise<void> {
  const { duplicateWindowMs = 2 * MINUTE_MS, maxAgeMs = 7 * DAY_MS, replicas = 1 } = options;
  const kept = {
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    num_replicas: replicas,
    allow_direct: true,
  };
  const wanted: Wanted[] = [
    {
      ...kept,
      name: names.stream(source),
      description: `Events of ${source}: a copy of its outbox`,
      subjects: [names.events(source), names.redrives(source)],
      max_age: nanos(maxAgeMs),
      duplicate_window: nanos(duplicateWindowMs),
      // Holes in the sequence then mean that the server lost something.
      deny_delete: true,
      deny_purge: true,
    },
    {
      ...kept,
      name: names.advisoryStream(source),
      description: `Messages of ${source} whose delivery was given up`,
      subjects: names.advisories(source),
      max_age: nanos(maxAgeMs),
    },
    {
      ...kept,
      name: names.deadLetterStream,
      description: "Dead letters, one for each event and consumer, until they are redriven",
      subjects: [names.deadLetters()],
      max_msgs_per_subject: 1,
      max_age: 0,
    },
  ];
  for (const config of wanted) await ensureStream(management, config);
}

async function ensureStream(management: JetStreamManager, wanted: Wanted): Promise<void> {
  const present = await findStream(management, wanted.name);
  if (!present) {
    await management.streams.add(wanted);
  } else if (differs(present.config, wanted)) {
    await management.streams.update(wanted.name, wanted);
  }
}

async function findStream(
  management: JetStreamManager,
  name: string,
): Promise<StreamInfo | undefined> {
  try {
    return await management.streams.info(name);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** True when the stream or the consumer that was asked for does not exist. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  const { StreamNotFound, ConsumerNotFound } = JetStreamApiCodes;
  return error.code === StreamNotFound || error.code === ConsumerNotFound;
}

/** True unless each option that is wanted is there already; the server adds more of its own. */
export function differs(present: object, wanted: object): boolean {
  const all = new Map(Object.entries(present));
  return Object.entries(wanted).some(
    ([key, value]) => JSON.stringify(all.get(key)) !== JSON.stringify(value),
  );
}

/**
 * The first message at or after a sequence number on these subjects, from the stream's leader: a
 * direct read may come from a replica that is behind. The server knows this query since 2.9; the
 * client's types have it for direct reads only.
 */
export function nextMessage(
  management: JetStreamManager,
  stream: string,
  query: { seq: number; next_by_subj: string },
): Promise<StoredMsg | null> {
  return management.streams.getMessage(stream, query);
}

const FORK_KEY = "emporium-fork";

/**
 * Names one run of sequence numbers of a stream: when it was made, and how often it was set back
 * since. The same number under another name is another event.
 */
export function incarnationOf({ created, config }: StreamInfo): string {
  return `${created}#${config.metadata?.[FORK_KEY] ?? "0"}`;
}

/** Gives the stream another incarnation, after the server had lost its end. */
export async function fork(management: JetStreamManager, info: StreamInfo): Promise<void> {
  const forks = Number(info.config.metadata?.[FORK_KEY] ?? "0");
  await management.streams.update(info.config.name, {
    metadata: { ...info.config.metadata, [FORK_KEY]: String(forks + 1) },
  });
}
