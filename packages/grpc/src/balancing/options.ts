import type { LoadBalancingConfig } from "@grpc/grpc-js";
import { CHANNEL_POLICY, type ChannelPolicyConfig } from "./channel-policy.js";
import { REPLICA_POLICY, type ReplicaPolicyConfig } from "./replica-policy.js";

/**
 * Which replica gets the next call.
 *
 * - `round_robin`: each in turn.
 * - `least_request`: the one with the fewest calls under way among `choices` taken at random, 2 unless
 *   said otherwise (gRFC A48). For calls that differ much in length.
 * - `weighted_round_robin`: each in proportion to what it can take by its own reports (gRFC A58, ORCA;
 *   see `loadReports`). For replicas that differ in strength. Reports count after `blackoutMs` (10 s
 *   by default) and for `expirationMs` (180 s); `errorPenalty` is how much a replica's error rate
 *   adds to its utilisation (1).
 * - `pick_first`: the first one that is there gets all; no outlier detection.
 *
 * @experimental
 */
export type LoadBalancing =
  | { policy: "round_robin" }
  | { policy: "least_request"; choices?: number }
  | {
      policy: "weighted_round_robin";
      blackoutMs?: number;
      expirationMs?: number;
      errorPenalty?: number;
    }
  | { policy: "pick_first"; shuffle?: boolean };

/**
 * When a replica that fails gets no calls for a while (gRFC A50).
 *
 * @experimental
 */
export interface OutlierDetection {
  /** Milliseconds between two looks at how calls went. */
  intervalMs: number;
  /** Milliseconds that a replica is left out the first time; each further time so much longer. */
  ejectionMs: number;
  /** Longest that a replica is left out, in milliseconds. */
  maxEjectionMs: number;
  /** Most replicas left out at once, in percent; one is always allowed. */
  maxEjectionPercent: number;
  /** Percent of calls that must have failed. */
  failurePercent: number;
  /** Fewest calls of an interval that say anything about a replica. */
  minCalls: number;
}

/**
 * Numbers that hold unless a client is given others. gRFC A50's own want five replicas and 50 to 100
 * calls in ten seconds, which a small deployment never has.
 *
 * @experimental
 */
export const defaultOutlierDetection: OutlierDetection = {
  intervalMs: 5_000,
  ejectionMs: 15_000,
  maxEjectionMs: 300_000,
  maxEjectionPercent: 33,
  failurePercent: 50,
  minCalls: 10,
};

/**
 * How a client spreads its calls.
 *
 * @experimental
 */
export interface BalancingOptions {
  /** Which replica gets the next call; round robin unless said otherwise. */
  loadBalancing?: LoadBalancing;
  /** Where it differs from `defaultOutlierDetection`; `false` switches it off. */
  outlierDetection?: Partial<OutlierDetection> | false;
  /** Milliseconds between two looks at the name's addresses, 5,000 unless said otherwise. */
  resolveEveryMs?: number;
}

/** Milliseconds after which a channel asks again which addresses its name has. */
export const RESOLVE_EVERY_MS = 5_000;

/** The options as the `loadBalancingConfig` of a service config. */
export function loadBalancingConfig({
  loadBalancing = { policy: "round_robin" },
  outlierDetection = {},
  resolveEveryMs = RESOLVE_EVERY_MS,
}: BalancingOptions): LoadBalancingConfig[] {
  const picking = pickingConfig(loadBalancing);
  const child =
    outlierDetection === false || loadBalancing.policy === "pick_first"
      ? picking
      : outlierConfig({ ...defaultOutlierDetection, ...outlierDetection }, picking);
  const channel: ChannelPolicyConfig = { resolveEveryMs, childPolicy: [child] };
  return [{ [CHANNEL_POLICY]: channel }] as LoadBalancingConfig[];
}

function pickingConfig(wanted: LoadBalancing): LoadBalancingConfig {
  switch (wanted.policy) {
    case "round_robin":
      return { round_robin: {} };
    case "pick_first":
      return { pick_first: { shuffleAddressList: wanted.shuffle ?? false } };
    case "least_request":
      return replicas({ by: "calls", choices: wanted.choices ?? 2 });
    case "weighted_round_robin":
      return replicas({
        by: "reports",
        blackoutMs: wanted.blackoutMs ?? 10_000,
        expirationMs: wanted.expirationMs ?? 180_000,
        errorPenalty: wanted.errorPenalty ?? 1,
      });
  }
}

function replicas(config: ReplicaPolicyConfig): LoadBalancingConfig {
  return { [REPLICA_POLICY]: config };
}

function outlierConfig(limits: OutlierDetection, child: LoadBalancingConfig): LoadBalancingConfig {
  return {
    outlier_detection: {
      interval: duration(limits.intervalMs),
      base_ejection_time: duration(limits.ejectionMs),
      max_ejection_time: duration(limits.maxEjectionMs),
      max_ejection_percent: limits.maxEjectionPercent,
      failure_percentage_ejection: {
        threshold: limits.failurePercent,
        enforcement_percentage: 100,
        minimum_hosts: 2,
        request_volume: limits.minCalls,
      },
      child_policy: [child],
    },
  };
}

function duration(ms: number) {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
}
