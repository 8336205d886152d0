import type { ServiceImpl } from "@connectrpc/connect";
import {
  createGrpcClient,
  type GrpcClient,
  type GrpcClientOptions,
  type GrpcServer,
} from "../src/index.js";
import { handlers, startTestServer, type TestServerOptions } from "../src/testing.js";
import { TrialService } from "./generated/trial/v1/trial_pb.js";

/** Handlers of the test contract; a test gives those that it calls. */
export type TrialHandlers = Partial<ServiceImpl<typeof TrialService>>;

/** A server of the test contract on a free port, with a client. */
export interface Trial extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly client: GrpcClient<typeof TrialService>;
  /** What the server told its log. */
  readonly logged: Record<string, unknown>[];
}

/** No call is shed because the machine that runs the tests is busy. */
export const patient = { maxEventLoopDelayMs: Infinity };

/**
 * Starts one. It is gone, with its client, when the test's block is left.
 *
 * @example
 * await using trial = await startTrial({ ask: ({ text }) => ({ text }) });
 */
export async function startTrial(
  implementation: TrialHandlers,
  options: TestServerOptions = {},
  clientOptions: Partial<GrpcClientOptions> = {},
): Promise<Trial> {
  const logged: Record<string, unknown>[] = [];
  const started = await startTestServer(
    {
      graceMs: 1000,
      log: { error: (fields) => logged.push(fields) },
      shedding: patient,
      ...options,
    },
    handlers(TrialService, implementation),
  );
  const client = trialClient(started.address, clientOptions);
  return {
    server: started.server,
    client,
    logged,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await started[Symbol.asyncDispose]();
    },
  };
}

/** A client of the test contract. Channels of its own: no test reuses another's connection. */
export function trialClient(address: string, options: Partial<GrpcClientOptions> = {}) {
  return createGrpcClient(TrialService, {
    address,
    ...options,
    channelOptions: { "grpc.use_local_subchannel_pool": 1, ...options.channelOptions },
  });
}

/** The error that a call fails with; throws when it does not fail. */
export async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error("The call did not fail");
    },
    (error: unknown) => error,
  );
}
