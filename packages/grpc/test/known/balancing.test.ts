import { create } from "@bufbuild/protobuf";
import { encodeBinaryHeader } from "@connectrpc/connect";
import { OrcaLoadReportSchema } from "@emporium/contracts/xds/data/orca/v3";
import { expect, test } from "vitest";
import { serviceConfig } from "../../src/index.js";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { type Answer, startReplicas } from "../replicas.js";
import { trialClient } from "../trial-server.js";

const report = create(OrcaLoadReportSchema, { rpsFractional: 1000, applicationUtilization: 0.5 });
const reporting: Answer = (note, call) => {
  call.responseTrailer.set(
    "endpoint-load-metrics-bin",
    encodeBinaryHeader(report, OrcaLoadReportSchema),
  );
  return note;
};
const silent: Answer = (note) => note;

/** Of 150 calls, how many reach a third replica that has not reported yet. */
async function shareOfNewcomer(config: Record<string, string>): Promise<number> {
  await using replicas = await startReplicas([reporting, reporting, silent]);
  using client = trialClient(replicas.address, {
    waitForReady: true,
    loadBalancing: { policy: "weighted_round_robin", blackoutMs: 0 },
    channelOptions: config,
  });
  // Weights count from the next look at them, once a second.
  const until = performance.now() + 1500;
  while (performance.now() < until) await client.ask({});
  replicas.counts();
  for (let i = 0; i < 150; i++) await client.ask({});
  return replicas.counts()[2]!;
}

test("grpc-js's weighted round robin starves a replica that has not reported yet", async () => {
  const theirs = {
    ...serviceConfig(TrialService),
    loadBalancingConfig: [{ weighted_round_robin: { blackout_period: "0s" } }],
  };
  expect(await shareOfNewcomer({ "grpc.service_config": JSON.stringify(theirs) })).toBeLessThan(10);
});

test("ours gives it the mean of what the others get (gRFC A58)", async () => {
  expect(await shareOfNewcomer({})).toBeGreaterThan(40);
});
