import type { HandlerContext } from "@connectrpc/connect";
import {
  handlers,
  startTestServer,
  type TestServer,
  type TestServerOptions,
} from "../src/testing.js";
import { type Note, TrialService } from "./generated/trial/v1/trial_pb.js";
import { patient, type TrialHandlers } from "./trial-server.js";

/** What a replica does with a unary call. */
export type Answer = (
  note: Note,
  call: HandlerContext,
) => ReturnType<Required<TrialHandlers>["ask"]>;

/** A server of the test contract that can be stopped and started again at its address. */
export interface Replica {
  readonly address: string;
  /** Calls that it was given. */
  calls: number;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Several of them; they stop when the test's block is left. */
export interface Replicas extends AsyncDisposable {
  readonly all: Replica[];
  /** All addresses in one name. */
  readonly address: string;
  /** Calls of each, since the last time. */
  readonly counts: () => number[];
}

/** Starts as many replicas as there are answers. */
export async function startReplicas(
  answers: Answer[],
  options: TestServerOptions = {},
): Promise<Replicas> {
  const all = await Promise.all(answers.map((answer) => startReplica(answer, options)));
  return {
    all,
    address: `ipv4:${all.map(({ address }) => address).join(",")}`,
    counts: () => all.map((replica) => ([replica.calls, (replica.calls = 0)] as const)[0]),
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((replica) => replica.stop()));
    },
  };
}

/** Starts one, at any free port unless the options say otherwise. */
export async function startReplica(
  answer: Answer,
  options: TestServerOptions = {},
): Promise<Replica> {
  const { host, port } = { host: "127.0.0.1", port: 0, ...options.listen };
  let server: TestServer | undefined;
  const replica = {
    address: "",
    calls: 0,
    async start() {
      const at = replica.address ? Number(replica.address.split(":")[1]) : port;
      server = await startTestServer(
        {
          graceMs: 200,
          shedding: patient,
          log: { error() {} },
          ...options,
          listen: { host, port: at },
        },
        handlers(TrialService, { ask: counted, askAgain: counted, askTwo: counted }),
      );
      replica.address = server.address;
    },
    async stop() {
      await server?.[Symbol.asyncDispose]();
      server = undefined;
    },
  };
  const counted: Answer = (note, call) => {
    replica.calls++;
    return answer(note, call);
  };
  await replica.start();
  return replica;
}
