import { setTimeout } from "node:timers/promises";
import { arrivals, callers } from "../callers.js";
import { cpuMicros, postgresCpuMicros } from "../postgres-cpu.js";
import { median } from "../ratios.js";

/** What an operation cost in each round. */
export interface Cost {
  /** CPU time of the servers that are watched, and of Postgres, in microseconds. */
  nodeMicros: number[];
  postgresMicros: number[];
  /** Both of them. */
  micros: number[];
  rate: number[];
  p50Ms: number[];
  p99Ms: number[];
}

/** Who works, and for how long it is watched. */
export interface Watched {
  /** Processes of services; absent ones are counted as this process. */
  pids?: number[];
  postmaster: number;
  rounds: number;
  /** Rounds that may go by before, until enough calls have warmed up; one in a short run. */
  warmRounds?: number;
  /** Those calls, where they are not 2,000. */
  warm?: number;
  milliseconds: number;
  /** So many call again as soon as they are answered; where `perSecond` is given, only to warm up. */
  callers: number;
  /** So many calls begin in each second of rounds that are ten times as long. */
  perSecond?: number;
}

/** Milliseconds for what a round leaves behind, such as events on their way out. */
const REST_MS = 50;

/** Calls after which code is compiled. */
const WARM = 2_000;

/** Calls again and again in rounds, after some that warm up. */
export async function costOf(watched: Watched, call: () => Promise<unknown>): Promise<Cost> {
  const cost: Cost = {
    nodeMicros: [],
    postgresMicros: [],
    micros: [],
    rate: [],
    p50Ms: [],
    p99Ms: [],
  };
  const nodes = () => watched.pids?.reduce((sum, pid) => sum + cpuMicros(pid), 0) ?? ownMicros();
  const { perSecond, milliseconds, warm = WARM } = watched;
  const closed = () => callers(watched.callers, milliseconds, call);
  const measured = perSecond ? () => arrivals(perSecond, 10 * milliseconds, call) : closed;
  const warmRounds = watched.rounds > 1 ? (watched.warmRounds ?? 3) : 1;
  for (let round = 0, done = 0; round < warmRounds && done < warm; round++)
    done += (await closed()).operations;
  for (let round = 0; round < watched.rounds; round++) {
    const [node, postgres] = [nodes(), postgresCpuMicros(watched.postmaster)];
    const found = await measured();
    await setTimeout(REST_MS);
    const { operations, seconds, p50Ms, p99Ms } = found;
    cost.nodeMicros.push((nodes() - node) / operations);
    cost.postgresMicros.push((postgresCpuMicros(watched.postmaster) - postgres) / operations);
    cost.micros.push(cost.nodeMicros.at(-1)! + cost.postgresMicros.at(-1)!);
    cost.rate.push(operations / seconds);
    cost.p50Ms.push(p50Ms);
    cost.p99Ms.push(p99Ms);
  }
  return cost;
}

function ownMicros(): number {
  const { system, user } = process.cpuUsage();
  return system + user;
}

/** A cell of a table: the median with three digits that count, at most. */
export const cell = (values: number[], factor = 1) => {
  const value = median(values) * factor;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
};
