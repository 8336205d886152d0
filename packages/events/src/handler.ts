import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { EventMeta } from "./envelope.js";

/** What a consumer does with one type of event. `T` is the transaction, `Tx` of the service. */
export interface Handler<T> {
  readonly type: string;
  /** Reads the payload and gives the effect; throws an UnreadablePayloadError. */
  readonly read: (payload: Uint8Array, meta: EventMeta) => (tx: T) => Promise<void>;
}

/** The payload is not what its type says; no retry will change that. */
export class UnreadablePayloadError extends Error {
  override readonly name = "UnreadablePayloadError";
}

/**
 * Names the effect of one type of event. It runs in the transaction that also notes the event as
 * taken in: all it writes through `tx` happens once; anything else it does may happen again.
 * @example
 *     on(OrderCancelledSchema, async ({ order }, meta, tx) => {
 *       await tx.refund.create({ data: { orderId: order!.orderId, eventId: meta.id } });
 *     })
 */
export function on<Desc extends DescMessage, T>(
  schema: Desc,
  effect: (message: MessageShape<Desc>, meta: EventMeta, tx: T) => Promise<void>,
): Handler<T> {
  return {
    type: schema.typeName,
    read(payload, meta) {
      const message = decode(schema, payload);
      return (tx) => effect(message, meta, tx);
    },
  };
}

function decode<Desc extends DescMessage>(schema: Desc, payload: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    throw new UnreadablePayloadError(`no ${schema.typeName}: ${String(error)}`, { cause: error });
  }
}
