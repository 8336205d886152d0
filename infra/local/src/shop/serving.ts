import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { type ClientTls, createGrpcClient } from "@emporium/grpc";

/**
 * Waits until a server says SERVING on grpc.health.v1. It may not even listen yet. Rejects with the
 * signal's reason.
 *
 * @example
 * await serving("dns:///127.0.0.1:50052", { source, server: "inventory" }, AbortSignal.timeout(30_000));
 */
export async function serving(address: string, tls: ClientTls, signal: AbortSignal): Promise<void> {
  using health = createGrpcClient(Health, { address, tls, waitForReady: true });
  while (!signal.aborted) {
    try {
      for await (const { status } of health.watch({ service: "" }, { signal }))
        if (status === Status.SERVING) return;
    } catch {
      // The connection was lost; the next call waits for another.
    }
  }
  throw signal.reason;
}
