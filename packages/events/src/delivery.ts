import type { JsMsg, StoredMsg } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/nats-core";
import { REDRIVE_OF, REDRIVE_SKIPS } from "./dead-letters.js";
import { fromHeaders, type EventMeta } from "./envelope.js";

/** An event as one message brought it. */
export interface Delivery extends EventMeta {
  /** The event's own id, or another one when it was sent again from the dead letters. */
  readonly messageId: string;
  readonly redriven: boolean;
  /** Sent again to be passed over. */
  readonly skipped: boolean;
  /** How often this message was delivered, this time included. */
  readonly deliveries: number;
  /** Its place in the stream. */
  readonly sequence: number;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly rawHeaders: MsgHdrs | undefined;
}

/** Reads a message of a source's stream; throws a MalformedEventError. */
export function delivered(message: JsMsg | StoredMsg): Delivery {
  const rawHeaders = "header" in message ? message.header : message.headers;
  const meta = fromHeaders(rawHeaders);
  return {
    ...meta,
    messageId: rawHeaders?.get("Nats-Msg-Id") || meta.id,
    redriven: meta.headers[REDRIVE_OF] !== undefined,
    skipped: meta.headers[REDRIVE_SKIPS] !== undefined,
    deliveries: "info" in message ? message.info.deliveryCount : 1,
    sequence: message.seq,
    subject: message.subject,
    payload: message.data,
    rawHeaders,
  };
}
