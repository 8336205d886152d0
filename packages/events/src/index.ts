export {
  type DeadLetters,
  openDeadLetters,
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterKey,
  type DeadReason,
  type DeadLettersOptions,
} from "./dead-letters.js";
export type { EventMeta } from "./envelope.js";
export { Events, type ConsumeOptions, type EventsOptions } from "./events.js";
export { EVENT_FAULT_POINTS, type AtFaultPoint, type FaultPoint } from "./fault-point.js";
export type { Feed, FeedEvent } from "./feed.js";
export { on, type Handler } from "./handler.js";
export { UnsupportedServerError, type NatsOptions } from "./link.js";
export type { Logger } from "./logger.js";
export type { Source } from "./names.js";
export { deadLetterPermissions, natsPermissions, type NatsPermissions } from "./permissions.js";
export { outboxEvent, type OutboxEventInit } from "./outbox-event.js";
export { formatPosition, parsePosition, type StreamPosition } from "./position.js";
export type { StreamOptions } from "./streams.js";
export {
  watch,
  WatchOverflowError,
  type Seen,
  type WatchBatch,
  type WatchOptions,
} from "./watch.js";
