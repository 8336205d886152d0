import type { JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import type { Lanes, Loss, Tail } from "./lanes.js";
import type { Logger } from "./logger.js";
import { fork } from "./streams.js";

const LEASE_MS = 30_000;
const HOLES_KEY = "emporium-holes";

interface Parts {
  lanes: Lanes;
  management: JetStreamManager;
  stream: string;
  logger: Logger;
}

/**
 * Compares the stream with what the outbox says was acknowledged, and makes all that the stream
 * lost wait for its publication again: its whole store, its end, or messages in between. Nobody
 * publishes meanwhile, and marks for acknowledgements from before are refused from here on. Gives
 * the stream's time of creation, or undefined when another relay took over.
 */
export async function reconcile(parts: Parts, signal: AbortSignal): Promise<string | undefined> {
  const { lanes, management, stream, logger } = parts;
  const { claims, tails } = await lanes.seize(LEASE_MS, signal);
  const info = await management.streams.info(stream, { deleted_details: true });
  const loss = await findLoss(management, info, tails);
  if (loss) {
    const forgotten = await lanes.forget(claims, loss, LEASE_MS, signal);
    if (forgotten === undefined) return undefined;
    logger.warn({ stream, forgotten, ...loss }, "The stream lost events; they are published again");
    await acknowledgeLoss(management, info, tails);
  }
  return (await lanes.release(claims, loss !== undefined, signal)) ? info.created : undefined;
}

async function findLoss(
  management: JetStreamManager,
  info: StreamInfo,
  tails: readonly Tail[],
): Promise<Loss | undefined> {
  const { created: incarnation, state } = info;
  let standing = BigInt(state.first_seq - 1);
  let lost = false;
  const checks = tails.map(async (tail) => {
    if (tail.incarnation === incarnation && (await stands(management, info, tail))) {
      if (tail.sequence > standing) standing = tail.sequence;
    } else {
      lost = true;
    }
  });
  await Promise.all(checks);
  const holes = knownHoles(info) === holesOf(info).length ? [] : holesOf(info);
  return lost || holes.length > 0 ? { incarnation, standing, holes } : undefined;
}

/** The number alone proves nothing: others may have taken the places after the end was lost. */
async function stands(
  management: JetStreamManager,
  { config, state }: StreamInfo,
  { sequence, id }: Tail,
): Promise<boolean> {
  if (sequence < state.first_seq) return true;
  if (sequence > state.last_seq) return false;
  const found = await management.streams.getMessage(config.name, { seq: Number(sequence) });
  return found?.header.get("Nats-Msg-Id") === id;
}

/** Watchers' positions and known holes must tell the stream before the loss from the one after. */
async function acknowledgeLoss(
  management: JetStreamManager,
  info: StreamInfo,
  tails: readonly Tail[],
): Promise<void> {
  const sameStream = tails.some(({ incarnation }) => incarnation === info.created);
  const holes = String(holesOf(info).length);
  const metadata = { ...info.config.metadata, [HOLES_KEY]: holes };
  if (sameStream) await fork(management, { ...info, config: { ...info.config, metadata } });
}

/** The server counts 0 among them when the stream is empty. */
function holesOf({ state }: StreamInfo): number[] {
  return (state.deleted ?? []).filter((sequence) => sequence > 0);
}

function knownHoles({ config }: StreamInfo): number {
  return Number(config.metadata?.[HOLES_KEY] ?? "0");
}
