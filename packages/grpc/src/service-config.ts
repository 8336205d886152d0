import type { DescService } from "@bufbuild/protobuf";
import type { ServiceConfig } from "@grpc/grpc-js";
import { type BalancingOptions, loadBalancingConfig } from "./balancing/options.js";
import { policyOf } from "./policy.js";

/** Fractions of a second as service config writes them. */
const seconds = (ms: number) => `${ms / 1000}s`;

/**
 * The gRPC service config that the contract asks for (gRFC A2, A6): methods that may be repeated
 * are retried on UNAVAILABLE, those with a hedging delay ask a second server as well, and a budget
 * stops both when many calls fail. How calls are spread over replicas is the client's choice. Deadlines are not in it: the client sets them call by call.
 *
 * @example
 * new grpc.Client(address, credentials, {
 *   "grpc.service_config": JSON.stringify(serviceConfig(InventoryService)),
 * });
 */
export function serviceConfig(
  service: DescService,
  balancing: BalancingOptions = {},
): ServiceConfig {
  return {
    loadBalancingConfig: loadBalancingConfig(balancing),
    retryThrottling: { maxTokens: 10, tokenRatio: 0.1 },
    methodConfig: service.methods
      .map((method) => ({ method, policy: policyOf(method) }))
      .filter(({ policy }) => policy.retryable)
      .map(({ method, policy }) => ({
        name: [{ service: service.typeName, method: method.name }],
        ...(policy.hedgingDelayMs === undefined
          ? { retryPolicy }
          : {
              hedgingPolicy: {
                maxAttempts: 2,
                hedgingDelay: seconds(policy.hedgingDelayMs),
                // A second server that is overloaded must not fail the call that the first one has.
                nonFatalStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
              },
            }),
      })),
  };
}

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: seconds(50),
  maxBackoff: seconds(1000),
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};
