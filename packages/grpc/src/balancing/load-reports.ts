import { type EventLoopUtilization, performance } from "node:perf_hooks";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, encodeBinaryHeader, type Interceptor } from "@connectrpc/connect";
import { OrcaLoadReportSchema } from "@emporium/contracts/xds/data/orca/v3";
import { LOAD_REPORT } from "./reported-load.js";

/** Milliseconds that one report is about, and for which it is given. */
const WINDOW_MS = 1_000;

/** Codes that count as errors of the server. */
const TROUBLE = new Set([Code.Unknown, Code.Internal, Code.Unavailable, Code.DataLoss]);

/**
 * How load is measured, where it differs from the engine's way.
 *
 * @experimental
 */
export interface LoadReportOptions {
  /**
   * How much of what the process can do it does, 0 to 1, over the last second; the share of time in
   * which the event loop was busy unless said otherwise.
   */
  utilization?: () => number;
}

/**
 * Interceptor of a server that reports its load with every answer, in the trailer
 * `endpoint-load-metrics-bin` (ORCA per call, gRFC A51): calls and errors a second, and utilisation.
 * Clients with `weighted_round_robin` send it calls in proportion to what it can take.
 *
 * @experimental
 * @example
 * new GrpcServer({ ..., interceptors: [loadReports()] });
 */
export function loadReports(options: LoadReportOptions = {}): Interceptor {
  const load = new MeasuredLoad(options.utilization);
  return (next) => async (request) => {
    try {
      const response = await next(request);
      load.add(false);
      if (load.report) response.trailer.set(LOAD_REPORT, load.report);
      return response;
    } catch (error) {
      const known = error instanceof ConnectError;
      load.add(!known || TROUBLE.has(error.code));
      if (known && load.report) error.metadata.set(LOAD_REPORT, load.report);
      throw error;
    }
  };
}

/** What happened since the last report. */
class MeasuredLoad {
  /** The report on the last second, as a header carries it; `undefined` during the first. */
  report: string | undefined;
  #calls = 0;
  #errors = 0;
  #since = performance.now();
  #loop: EventLoopUtilization = performance.eventLoopUtilization();

  constructor(private readonly utilization: (() => number) | undefined) {}

  add(failed: boolean): void {
    this.#calls++;
    if (failed) this.#errors++;
    const elapsed = performance.now() - this.#since;
    if (elapsed >= WINDOW_MS) this.#measure(elapsed / 1000);
  }

  #measure(seconds: number): void {
    const loop = performance.eventLoopUtilization();
    const busy = performance.eventLoopUtilization(loop, this.#loop).utilization;
    const report = create(OrcaLoadReportSchema, {
      rpsFractional: this.#calls / seconds,
      eps: this.#errors / seconds,
      // Nothing is never idle: 0 would mean that it is not known.
      applicationUtilization: Math.max(0.001, this.utilization?.() ?? busy),
    });
    this.report = encodeBinaryHeader(report, OrcaLoadReportSchema);
    this.#calls = this.#errors = 0;
    this.#since = performance.now();
    this.#loop = loop;
  }
}
