import { type AuditReport, printedAudit } from "@emporium/local";
import type { Death } from "./keeper.ts";

/** Milliseconds. */
export interface Recovery {
  faults: number;
  p50: number;
  p99: number;
}

/** How a run of chaos went. */
export interface ChaosReport {
  seed: number;
  seconds: number;
  calls: number;
  /** Purchases by their answer. */
  answers: Record<string, number>;
  /** Processes that were killed. */
  deaths: number;
  /** By what was struck: until everybody who was waiting then had an answer. */
  recovery: Record<string, Recovery>;
  /** Milliseconds from the last fault until every call had its answer. */
  settledMs: number;
  faultPoints: { all: number; hit: number; missed: string[] };
  watched: { levels: number; reconnects: number };
  books: AuditReport;
  /** What no caller may see, and calls that no order explains. */
  wrong: string[];
}

/** How it went that processes died at each of their named places. */
export interface PointsReport extends Pick<
  ChaosReport,
  "seed" | "calls" | "answers" | "settledMs" | "books" | "wrong"
> {
  rounds: number;
  deaths: number;
  /** By the service and the place that its process died at. */
  recovery: Record<string, Recovery>;
  /** Places that nobody came by. */
  missed: string[];
}

/** Share of the fault points that a run has to come by. */
const NEEDED = 0.9;

/** Why places failed; nothing where they did not. */
export function pointFailures({ missed, books, wrong }: PointsReport): string[] {
  return [
    ...wrong,
    ...(books.holds ? [] : ["The books do not agree"]),
    ...missed.map((place) => `Nobody died at ${place}`),
  ];
}

/** Seconds of trouble from which on chance comes by nearly every place; the rest is `points`' to do. */
const LONG_ENOUGH_S = 60;

/** Why a run failed; nothing where it did not. */
export function failures({ faultPoints, books, seconds, wrong }: ChaosReport): string[] {
  const { all, hit, missed } = faultPoints;
  return [
    ...wrong,
    ...(books.holds ? [] : ["The books do not agree"]),
    ...(seconds >= LONG_ENOUGH_S && hit / all < NEEDED
      ? [`Only ${hit} of ${all} fault points were hit, not ${missed.join(", ")}`]
      : []),
  ];
}

/**
 * How long after a fault the last of those had an answer who were waiting when it struck, by what was
 * struck: a service's replicas count as one.
 */
export function recoveryTimes(
  faults: readonly Death[],
  calls: readonly { start: number; end: number }[],
): Record<string, Recovery> {
  const kinds = Map.groupBy(faults, ({ label }) => label.replace(/-\d+$/, ""));
  return Object.fromEntries(
    [...kinds].map(([kind, struck]) => {
      const times = struck.map(({ at }) => {
        const waiting = calls.filter(({ start, end }) => start <= at && end > at);
        return Math.max(0, ...waiting.map(({ end }) => end - at));
      });
      return [kind, { faults: times.length, p50: share(times, 0.5), p99: share(times, 0.99) }];
    }),
  );
}

function share(values: number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
}

export function printedChaos(report: ChaosReport): string {
  const { faultPoints, watched, recovery } = report;
  const failed = failures(report);
  const lines = [
    "",
    printedAnswers(report),
    `Faults     ${report.deaths} processes killed, ${faultPoints.hit} of ${faultPoints.all} fault points hit`,
    ...printedRecovery(recovery),
    `Calm       every call answered ${(report.settledMs / 1_000).toFixed(1)} s after the last fault`,
    `Watched    ${watched.levels} levels, ${watched.reconnects} reconnects`,
    printedAudit(report.books),
    "",
    ...(failed.length > 0
      ? ["FAILED", ...failed.slice(0, 20)]
      : ["Linearizable, no revision fell, everybody saw their own order at once"]),
  ];
  return lines.join("\n");
}

export function printedPoints(report: PointsReport): string {
  const failed = pointFailures(report);
  const lines = [
    "",
    printedAnswers(report),
    `Deaths     ${report.deaths}`,
    ...printedRecovery(report.recovery),
    `Calm       every call answered ${(report.settledMs / 1_000).toFixed(1)} s after the last fault`,
    printedAudit(report.books),
    "",
    ...(failed.length > 0 ? ["FAILED", ...failed.slice(0, 20)] : ["Every process died everywhere"]),
  ];
  return lines.join("\n");
}

function printedAnswers({ answers, calls }: Pick<ChaosReport, "answers" | "calls">): string {
  const counted = Object.entries(answers).map(([answer, times]) => `${times} ${answer}`);
  return `Purchases  ${counted.join(", ")}; ${calls} calls`;
}

function printedRecovery(recovery: Record<string, Recovery>): string[] {
  return Object.entries(recovery).map(
    ([kind, { faults, p50, p99 }]) =>
      `           ${kind.padEnd(36)} ${String(faults).padStart(3)} times, recovery p50 ${p50} ms, p99 ${p99} ms`,
  );
}
