import type { AuditReport } from "@emporium/local";
import type { Metric, Run } from "./k6.js";

/** What one scenario came to. */
export interface LoadReport {
  scenario: string;
  passed: boolean;
  /** As they were done; this and all that follows without the warm-up. */
  callsPerSecond: number;
  /** Share of calls that failed. */
  failed: number;
  droppedIterations: number;
  /** Milliseconds of each method. */
  methods: Record<string, { calls: number; med: number; p95: number; p99: number; max: number }>;
  thresholds: { name: string; ok: boolean }[];
  /** CPU seconds of each server and of k6, and milliseconds of all servers for a call. */
  cpu: { servers: Record<string, number>; k6: number; msPerCall: number; pinned: boolean };
  /** The books afterwards; absent where the shop is not ours to look into. */
  audit?: Pick<AuditReport, "holds" | "products" | "differences">;
  /** What a scenario has found beside, such as the knee. */
  found?: Record<string, number>;
}

/** Puts together what k6 and the machine told. */
export function reportOf(
  scenario: string,
  { metrics, measured, cpu: { k6 = 0, ...servers } }: Run,
  pinned: boolean,
): LoadReport {
  const value = (metric: string, of: string) => metrics[metric]?.values[of] ?? 0;
  const calls = value("rpc_duration{phase:measured}", "count");
  const thresholds = Object.entries(metrics).flatMap(([metric, { thresholds: kept = {} }]) =>
    Object.entries(kept).map(([name, { ok }]) => ({ name: `${metric} ${name}`, ok })),
  );
  const used = Object.values(servers).reduce((sum, each) => sum + each, 0);
  return {
    scenario,
    passed: thresholds.every(({ ok }) => ok),
    callsPerSecond: calls / measured.seconds,
    failed: value("rpc_failed{phase:measured}", "rate"),
    droppedIterations: value("dropped_iterations", "count"),
    methods: methodsOf(metrics),
    thresholds,
    cpu: { servers, k6, pinned, msPerCall: calls ? (used * 1000) / calls : 0 },
  };
}

function methodsOf(metrics: Record<string, Metric>): LoadReport["methods"] {
  const methods: LoadReport["methods"] = {};
  for (const [name, { values }] of Object.entries(metrics)) {
    const method = /^rpc_duration\{phase:measured,rpc:(\w+)\}$/.exec(name)?.[1];
    const at = (key: string) => values[key] ?? 0;
    if (method)
      methods[method] = {
        calls: at("count"),
        med: at("med"),
        p95: at("p(95)"),
        p99: at("p(99)"),
        max: at("max"),
      };
  }
  return methods;
}

/** For people, at the end of the run. */
export function printed(report: LoadReport): string {
  const { cpu, audit, found } = report;
  const ms = (value: number) => value.toFixed(0).padStart(7);
  const servers = Object.entries(cpu.servers).map(([name, used]) => `${name} ${used.toFixed(1)}`);
  return [
    "",
    `${report.scenario}: ${report.callsPerSecond.toFixed(1)} calls a second, ${(report.failed * 100).toFixed(2)} % failed, ` +
      `${report.droppedIterations} iterations dropped`,
    "",
    `${"ms".padEnd(16)}   calls     med     p95     p99     max`,
    ...Object.entries(report.methods).map(
      ([method, { calls, med, p95, p99, max }]) =>
        method.padEnd(16) + String(calls).padStart(8) + [med, p95, p99, max].map(ms).join(" "),
    ),
    "",
    `CPU seconds: ${servers.join(", ")}; k6 itself ${cpu.k6.toFixed(1)}` +
      (cpu.pinned
        ? " (servers on one core, k6 on another)"
        : " (not pinned: k6 takes of the same)"),
    ...(cpu.msPerCall ? [`${cpu.msPerCall.toFixed(2)} ms of the servers' CPU for a call`] : []),
    ...Object.entries(found ?? {}).map(([what, value]) => `${what}: ${value}`),
    ...report.thresholds.filter(({ ok }) => !ok).map(({ name }) => `NOT KEPT: ${name}`),
    ...(audit ? [audit.holds ? "All books agree" : booksDiffer(audit)] : []),
    "",
  ].join("\n");
}

function booksDiffer({ differences }: Pick<AuditReport, "differences">): string {
  const lines = differences.slice(0, 10).map((d) => `  ${d.what}: ${d.expected}, found ${d.found}`);
  return [`THE BOOKS DO NOT AGREE: ${differences.length} differences`, ...lines].join("\n");
}

/** For CI: a test case for each threshold, and one for the books (JUnit's XML). */
export function junit(report: LoadReport): string {
  const cases = [
    ...report.thresholds,
    ...(report.audit ? [{ name: "the books agree", ok: report.audit.holds }] : []),
  ];
  const failures = cases.filter(({ ok }) => !ok).length;
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuite name="load ${report.scenario}" tests="${cases.length}" failures="${failures}">`,
    ...cases.map(({ name, ok }) =>
      ok
        ? `  <testcase name="${escaped(name)}"/>`
        : `  <testcase name="${escaped(name)}"><failure message="not kept"/></testcase>`,
    ),
    "</testsuite>",
    "",
  ].join("\n");
}

function escaped(text: string): string {
  const entities: Record<string, string> = {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    '"': "&quot;",
  };
  return text.replace(/[<>&"]/g, (character) => entities[character]!);
}
