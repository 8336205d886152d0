import { setTimeout as delay } from "node:timers/promises";
import { getOption } from "@bufbuild/protobuf";
import { Code, type Interceptor } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "@emporium/contracts/google/rpc";
import {
  Detail,
  EngineReason,
  EngineReasonSchema,
  reason as reasonOption,
} from "@emporium/contracts/options/v1";
import { expect, test } from "vitest";
import { engineFailure, findDetail, GrpcController, reasonOf } from "../src/index.js";
import { TrialService } from "./generated/trial/v1/trial_pb.js";
import { Echo, startApplication } from "./nest/application.js";
import { errorOf, startTrial } from "./trial-server.js";

async function* four() {
  for (let number = 1n; number <= 4n; number++) yield { number };
}

/** For each reason of the engine, how a caller meets it. */
const provocations: Record<keyof typeof EngineReason, () => Promise<unknown>> = {
  UNSPECIFIED: () => Promise.resolve(undefined),

  async INVALID_REQUEST() {
    await using trial = await startTrial({ ask: () => ({}) });
    return await errorOf(trial.client.ask({ text: "x".repeat(1001) }));
  },

  async STREAM_TOO_LONG() {
    await using trial = await startTrial({ readBriefly: four });
    return await errorOf(Array.fromAsync(trial.client.readBriefly({})));
  },

  async OVERLOADED() {
    await using trial = await startTrial(
      { ask: () => ({}) },
      { shedding: { maxCallsInFlight: 0 } },
    );
    return await errorOf(trial.client.ask({}));
  },

  async SHUTTING_DOWN() {
    const trial = await startTrial({
      async *read() {
        yield {};
        await new Promise(() => {});
      },
    });
    const notes = trial.client.read({})[Symbol.asyncIterator]();
    await notes.next();
    const [error] = await Promise.all([errorOf(notes.next()), trial.server.close()]);
    await trial[Symbol.asyncDispose]();
    return error;
  },

  async STREAM_EXPIRED() {
    await using trial = await startTrial({
      async *readBriefly() {
        yield {};
        await delay(1000);
      },
    });
    return await errorOf(Array.fromAsync(trial.client.readBriefly({})));
  },

  async TOO_SLOW() {
    await using trial = await startTrial({ askBriefly: () => new Promise(() => {}) });
    return await errorOf(trial.client.askBriefly({}));
  },

  async INTERNAL() {
    await using trial = await startTrial({
      ask() {
        throw new Error("secret");
      },
    });
    return await errorOf(trial.client.ask({}));
  },

  UNAUTHENTICATED: () =>
    thrownByAnInterceptor(() => engineFailure(EngineReason.UNAUTHENTICATED, "Who are you?")),

  async FORBIDDEN() {
    @GrpcController(TrialService)
    class Plain extends Echo {}
    await using app = await startApplication(Plain, {
      configure: (app) => app.useGlobalGuards({ canActivate: () => false }),
    });
    return await errorOf(app.client.ask({}));
  },

  INVALID_RESUME_TOKEN: () =>
    thrownByAHandler(() =>
      engineFailure(EngineReason.INVALID_RESUME_TOKEN, "Not ours", {
        fieldViolations: [{ field: "resume_token", description: "not a token" }],
      }),
    ),

  INVALID_PAGE_TOKEN: () =>
    thrownByAHandler(() =>
      engineFailure(EngineReason.INVALID_PAGE_TOKEN, "Not ours", {
        fieldViolations: [{ field: "page_token", description: "not a token" }],
      }),
    ),

  async DEPENDENCY_AWAY() {
    const away = Object.assign(new Error("connect to 10.0.0.7"), { code: "ECONNREFUSED" });
    await using trial = await startTrial(
      {
        ask() {
          throw away;
        },
      },
      { isAway: (error) => error === away },
    );
    const error = await errorOf(trial.client.ask({}));
    expect(trial.logged).toEqual([{ err: away }]);
    expect(String(error)).not.toContain("10.0.0.7");
    return error;
  },
};

async function thrownByAnInterceptor(make: () => Error) {
  const refuse: Interceptor = () => () => {
    throw make();
  };
  await using trial = await startTrial({ ask: () => ({}) }, { interceptors: [refuse] });
  return await errorOf(trial.client.ask({}));
}

async function thrownByAHandler(make: () => Error) {
  await using trial = await startTrial({
    async *read() {
      throw make();
    },
  });
  return await errorOf(Array.fromAsync(trial.client.read({})));
}

const details = {
  [Detail.BAD_REQUEST]: BadRequestSchema,
  [Detail.PRECONDITION_FAILURE]: PreconditionFailureSchema,
  [Detail.RESOURCE_INFO]: ResourceInfoSchema,
  [Detail.RETRY_INFO]: RetryInfoSchema,
  [Detail.QUOTA_FAILURE]: QuotaFailureSchema,
};

const declared = EngineReasonSchema.values.filter(({ number }) => number !== 0);

test.each(declared.map((value) => [value.localName, value] as const))(
  "%s arrives with the code and the detail that the contract names",
  async (name, value) => {
    const error = await provocations[name as keyof typeof EngineReason]();
    const policy = getOption(value, reasonOption);
    expect(error).toMatchObject({ code: policy.code });
    expect(reasonOf(error)).toMatchObject({ reason: name, domain: "emporium.example" });
    expect(findDetail(error, ErrorInfoSchema)).toBeDefined();
    for (const [detail, schema] of Object.entries(details))
      expect(findDetail(error, schema) !== undefined).toBe(Number(detail) === policy.detail);
  },
);

test("a stream of requests that is too long ends, and the handler sees why", async () => {
  const seen: unknown[] = [];
  await using trial = await startTrial({
    async writeBriefly(notes) {
      try {
        for await (const { number } of notes) seen.push(number);
      } catch (error) {
        seen.push(reasonOf(error)?.reason);
        throw error;
      }
      return {};
    },
    async *talkBriefly(notes) {
      for await (const { number } of notes) yield { number };
    },
  });
  const tooLong = { code: Code.ResourceExhausted };
  expect(await errorOf(trial.client.writeBriefly(four()))).toMatchObject(tooLong);
  expect(seen).toEqual([1n, 2n, 3n, "STREAM_TOO_LONG"]);
  const talk = await errorOf(Array.fromAsync(trial.client.talkBriefly(four())));
  expect(talk).toMatchObject(tooLong);
  expect(reasonOf(talk)?.reason).toBe("STREAM_TOO_LONG");
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});
