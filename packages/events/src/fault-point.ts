/**
 * Places where a crash, a stop or a lost answer is worth a test. They do nothing unless a process
 * is given `atFaultPoint`: a promise that never settles is a process that died there, one that
 * settles late is a process that was stopped for a while.
 */
export const EVENT_FAULT_POINTS = [
  "relay.claimed",
  "relay.published",
  "consumer.received",
  "consumer.applied",
  "consumer.buried",
] as const;

export type FaultPoint = (typeof EVENT_FAULT_POINTS)[number];

export type AtFaultPoint = (point: FaultPoint) => Promise<void> | void;
