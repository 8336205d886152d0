/**
 * Places where a crash, a stop or a lost answer is worth a test. They do nothing unless a process
 * is given `atFaultPoint`: a promise that never settles is a process that died there, one that
 * settles late is a process that was stopped for a while.
 */
export type FaultPoint =
  | "relay.claimed"
  | "relay.published"
  | "consumer.received"
  | "consumer.applied"
  | "consumer.buried";

export type AtFaultPoint = (point: FaultPoint) => Promise<void> | void;
