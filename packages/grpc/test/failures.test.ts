import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:http2";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "@emporium/contracts/google/rpc";
import { expect, test } from "vitest";
import { createFailure, findDetail, reasonOf } from "../src/index.js";
import { type Mood, Reason, ReasonSchema } from "./generated/trial/v1/trial_pb.js";
import { errorOf, startTrial, type Trial } from "./trial-server.js";

const failure = createFailure<Reason>(ReasonSchema);

type Sample<Desc extends DescMessage> = [
  reason: Reason,
  code: Code,
  schema: Desc,
  detail: MessageInitShape<Desc>,
];

const sample = <Desc extends DescMessage>(...all: Sample<Desc>) => all as Sample<DescMessage>;

const samples = [
  sample(Reason.BAD, Code.InvalidArgument, BadRequestSchema, {
    fieldViolations: [{ field: "lines[2].sku", description: "there is none", reason: "unknown" }],
  }),
  sample(Reason.UNMET, Code.FailedPrecondition, PreconditionFailureSchema, {
    violations: [{ type: "STOCK", subject: "85123A", description: "3 wanted, 1 available" }],
  }),
  sample(Reason.ELSEWHERE, Code.NotFound, ResourceInfoSchema, {
    resourceType: "trial.v1.Note",
    resourceName: "notes/7",
    description: "moved",
  }),
  sample(Reason.LATER, Code.Unavailable, RetryInfoSchema, {
    retryDelay: { seconds: 2n, nanos: 500_000_000 },
  }),
  sample(Reason.TOO_MANY, Code.ResourceExhausted, QuotaFailureSchema, {
    violations: [{ subject: "notes", description: "at most 10" }],
  }),
];

test.each(samples)("reason %i arrives with code %i and its detail", async (...given) => {
  const [reason, code, schema, detail] = given;
  const fail = () => {
    throw failure(reason, "Because", detail, { where: "here" });
  };
  await using trial = await startTrial({ ask: fail, read: fail });
  for (const call of [trial.client.ask({}), Array.fromAsync(trial.client.read({}))]) {
    const error = await errorOf(call);
    expect(error).toMatchObject({ code, rawMessage: "Because" });
    expect(reasonOf(error)).toEqual({
      reason: Reason[reason],
      domain: "trial.example",
      metadata: { where: "here" },
    });
    expect(findDetail(error, schema)).toEqual(create(schema, detail));
  }
});

test("a reason without a detail carries its name alone", async () => {
  await using trial = await startTrial({
    ask() {
      throw failure(Reason.BARE, "Because");
    },
  });
  const error = (await errorOf(trial.client.ask({}))) as ConnectError;
  expect(error).toMatchObject({ code: Code.OutOfRange });
  expect(error.details).toHaveLength(1);
  expect(reasonOf(error)?.reason).toBe("BARE");
});

const mistakes: Record<string, () => unknown> = {
  "an Error": () => new Error("secret"),
  "an Error with a cause": () => new Error("x", { cause: new Error("secret") }),
  "a string": () => "secret",
  "an object": () => ({ code: 5, message: "secret", details: "secret" }),
  nothing: () => undefined,
  "a ConnectError of code INTERNAL without details": () =>
    new ConnectError("secret", Code.Internal),
  "a ConnectError of code UNKNOWN without details": () => new ConnectError("secret", Code.Unknown),
  "a reason without the detail that it takes": () => {
    try {
      return failure(Reason.BAD, "secret");
    } catch (error) {
      return error;
    }
  },
};

test.each(Object.entries(mistakes))(
  "%s thrown by mistake is INTERNAL with an id",
  async (_, make) => {
    await using trial = await startTrial({
      ask() {
        throw make();
      },
      async *read() {
        yield {};
        throw make();
      },
    });
    for (const call of [() => trial.client.ask({}), () => Array.fromAsync(trial.client.read({}))]) {
      const error = (await errorOf(call())) as ConnectError;
      expect(error.code).toBe(Code.Internal);
      const info = reasonOf(error);
      expect(info).toMatchObject({ reason: "INTERNAL", domain: "emporium.example" });
      expect(everythingIn(error)).not.toContain("secret");
      expect(trial.logged.at(-1)).toMatchObject({ error_id: info!.metadata["error_id"] });
    }
  },
);

/** All that a caller can read of an error. */
function everythingIn(error: ConnectError) {
  const bytes = error.details.map((detail) =>
    "value" in detail && detail.value instanceof Uint8Array
      ? Buffer.from(detail.value).toString("latin1")
      : JSON.stringify(detail),
  );
  return [error.message, error.stack, ...error.metadata, ...bytes].join("\n");
}

test("a rule of the contract that cannot be evaluated is INTERNAL, and says so in the log", async () => {
  await using trial = await startTrial({ askRiddle: () => ({}) });
  await trial.client.askRiddle({ divisor: 5n });
  const wrong = await errorOf(trial.client.askRiddle({ divisor: 10n }));
  expect(reasonOf(wrong)?.reason).toBe("INVALID_REQUEST");
  const broken = (await errorOf(trial.client.askRiddle({ divisor: 0n }))) as ConnectError;
  expect(broken.code).toBe(Code.Internal);
  expect(everythingIn(broken)).not.toMatch(/zero|divi|riddle/i);
  expect(trial.logged.at(-1)?.["err"]).toMatchObject({
    message: "A rule of trial.v1.Riddle is broken",
  });
});

test("a request that breaks rules names each field and the rule", async () => {
  await using trial = await startTrial({ ask: () => ({}) });
  const error = await errorOf(trial.client.ask({ text: "x".repeat(1001), mood: 9 as Mood }));
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  expect(findDetail(error, BadRequestSchema)?.fieldViolations).toMatchObject([
    { field: "text", reason: "string.max_len" },
    { field: "mood", reason: "enum.defined_only" },
  ]);
});

test("details too large for a trailer are left out, and the reason stays", async () => {
  const fieldViolations = Array.from({ length: 1000 }, (_, i) => ({
    field: `lines[${i}].sku`,
    description: "x".repeat(100),
  }));
  await using trial = await startTrial({
    ask() {
      throw failure(Reason.BAD, "Because", { fieldViolations });
    },
  });
  const error = await errorOf(trial.client.ask({}));
  expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: "Because" });
  expect(reasonOf(error)?.reason).toBe("BAD");
  expect(findDetail(error, BadRequestSchema)).toBeUndefined();
});

test("a text too long for a trailer is cut", async () => {
  await using trial = await startTrial({
    ask() {
      throw failure(Reason.BARE, "x".repeat(100_000));
    },
  });
  const error = (await errorOf(trial.client.ask({}))) as ConnectError;
  expect(error.code).toBe(Code.OutOfRange);
  expect(error.rawMessage.length).toBeLessThan(5000);
});

test("an error of a service called on the way arrives as it is", async () => {
  const detail = { violations: [{ type: "T", subject: "s", description: "d" }] };
  await using last = await startTrial({
    ask() {
      throw failure(Reason.UNMET, "Because", detail);
    },
  });
  await using first = await startTrial({ ask: () => last.client.ask({}) });
  const error = await errorOf(first.client.ask({}));
  expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "Because" });
  expect(findDetail(error, PreconditionFailureSchema)).toMatchObject(detail);
  expect(reasonOf(error)?.reason).toBe("UNMET");
});

test("trailers that a handler set before it failed arrive with its error", async () => {
  await using trial = await startTrial({
    ask(_, { responseTrailer }) {
      responseTrailer.set("x-cost", "7");
      throw failure(Reason.BARE, "Because");
    },
    async *read(_, { responseTrailer }) {
      yield {};
      responseTrailer.set("x-cost", "7");
      throw failure(Reason.BARE, "Because");
    },
  });
  for (const call of [trial.client.ask({}), Array.fromAsync(trial.client.read({}))])
    expect(((await errorOf(call)) as ConnectError).metadata.get("x-cost")).toBe("7");
});

/** Sends bytes as the message of a call; gives the trailers, and the headers of a trailers-only answer. */
async function sendBytes(trial: Trial, method: string, bytes: Buffer) {
  const session = connect(`http://${trial.server.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": `/trial.v1.TrialService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  let answer: Record<string, unknown> = {};
  stream.on("response", (headers) => (answer = { ...answer, ...headers }));
  stream.on("trailers", (headers) => (answer = { ...answer, ...headers }));
  stream.on("error", () => {}).resume();
  stream.end(bytes);
  await once(stream, "close");
  session.close();
  return answer;
}

test.each(["Ask", "Read", "Write", "Talk"])(
  "bytes that are no message do not reach the handler of %s, nor does their error the caller",
  async (method) => {
    let reached = 0;
    await using trial = await startTrial({
      ask: () => ((reached += 1), {}),
      async *read() {
        reached++;
        yield {};
      },
      async write(notes) {
        for await (const _ of notes) reached++;
        return {};
      },
      async *talk(notes) {
        for await (const _ of notes) reached++;
        yield {};
      },
    });
    // A frame of two bytes: field 1 is said to be five bytes long, and is not there.
    const answer = await sendBytes(trial, method, Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x05]));
    expect(answer["grpc-status"]).toBe("13");
    expect(decodeURIComponent(String(answer["grpc-message"]))).not.toMatch(/premature|offset|eof/i);
    expect(reached).toBe(0);
    await expect.poll(() => trial.server.callsInFlight).toBe(0);
  },
);

test("a request over the limit is RESOURCE_EXHAUSTED and reaches no handler", async () => {
  let reached = 0;
  await using trial = await startTrial(
    {
      ask: () => ((reached += 1), {}),
      async write(notes) {
        for await (const _ of notes) reached++;
        return {};
      },
    },
    { limits: { maxMessageBytes: 10_000 } },
  );
  const body = new Uint8Array(20_000);
  async function* notes() {
    yield { body };
  }
  const tooLarge = { code: Code.ResourceExhausted };
  expect(await errorOf(trial.client.ask({ body }))).toMatchObject(tooLarge);
  expect(await errorOf(trial.client.write(notes()))).toMatchObject(tooLarge);
  expect(reached).toBe(0);
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("an answer over the limit fails the call, and ends the handler", async () => {
  const ended = Promise.withResolvers<void>();
  const body = randomBytes(20_000);
  await using trial = await startTrial(
    {
      ask: () => ({ body }),
      async *read() {
        try {
          for (;;) yield { body };
        } finally {
          ended.resolve();
        }
      },
    },
    { limits: { maxReplyBytes: 10_000 } },
  );
  expect(await errorOf(trial.client.ask({}))).toMatchObject({ code: Code.ResourceExhausted });
  const read = Array.fromAsync(trial.client.read({}));
  expect(await errorOf(read)).toMatchObject({ code: Code.ResourceExhausted });
  await ended.promise;
  await expect.poll(() => trial.server.callsInFlight).toBe(0);
});

test("an error says the domain of the contract, not of the engine, for the contract's reasons", () => {
  expect(reasonOf(failure(Reason.BARE, "x"))?.domain).toBe("trial.example");
  expect(findDetail(failure(Reason.BARE, "x"), ErrorInfoSchema)?.reason).toBe("BARE");
});
