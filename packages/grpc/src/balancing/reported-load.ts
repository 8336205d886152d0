import { fromBinary } from "@bufbuild/protobuf";
import { type OrcaLoadReport, OrcaLoadReportSchema } from "@emporium/contracts/xds/data/orca/v3";
import type { Metadata } from "@grpc/grpc-js";

/** Trailer in which a server reports its load (ORCA, gRFC A51). */
export const LOAD_REPORT = "endpoint-load-metrics-bin";

/** What one replica said of its load, and since when it says anything. */
export class ReportedLoad {
  #weight = 0;
  #since: number | undefined;
  #last = -Infinity;

  /** Takes note of the report in the trailers of a call, where there is one. */
  read(trailers: Metadata, errorPenalty: number): void {
    const [bytes] = trailers.get(LOAD_REPORT);
    if (!Buffer.isBuffer(bytes)) return;
    const weight = weightOf(bytes, errorPenalty);
    if (weight === 0) return;
    this.#weight = weight;
    this.#last = performance.now();
    this.#since ??= this.#last;
  }

  /** Calls a second that the replica takes at full load, to be compared; 0 where nothing is known. */
  weight({ blackoutMs, expirationMs }: { blackoutMs: number; expirationMs: number }): number {
    const now = performance.now();
    if (now - this.#last >= expirationMs) this.reset();
    return this.#since === undefined || now - this.#since < blackoutMs ? 0 : this.#weight;
  }

  /** A replica that was away is another one: its first reports say little. */
  reset(): void {
    this.#since = undefined;
  }
}

function weightOf(bytes: Uint8Array, errorPenalty: number): number {
  let report: OrcaLoadReport;
  try {
    report = fromBinary(OrcaLoadReportSchema, bytes);
  } catch {
    // A foreign server's broken report does not fail the call that it came with.
    return 0;
  }
  const { rpsFractional, eps, applicationUtilization, cpuUtilization } = report;
  const utilization = applicationUtilization || cpuUtilization;
  if (!(utilization > 0 && rpsFractional > 0)) return 0;
  return rpsFractional / (utilization + (eps / rpsFractional) * errorPenalty);
}
