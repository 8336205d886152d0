import type { MessageInitShape } from "@bufbuild/protobuf";
import { BadRequestException } from "@nestjs/common";
import { Code, ConnectError } from "@connectrpc/connect";
import { EMPTY, of } from "rxjs";
import { expect, expectTypeOf, test } from "vitest";
import type { NoteSchema } from "../generated/trial/v1/trial_pb.js";
import { trialClient } from "../trial-server.js";
import { trap } from "./trap.js";
import { nestTransport, type Serve, trialPackage, type Wishes, type Work } from "./transports.js";

/** What a caller gets: the answer, or code and message of the error. */
type Seen = { text: string; mood: number } | { code: string; message: string };

async function answerOf(
  serve: Serve,
  work: Partial<Work>,
  wishes?: Wishes,
  timeoutMs = 5000,
): Promise<Seen> {
  await using served = await serve(work, wishes);
  using client = trialClient(served.address);
  return await client.ask({ number: (1n << 53n) + 1n }, { timeoutMs }).then(
    ({ text, mood }) => ({ text, mood: mood as number }),
    (error: unknown) => ({
      code: Code[(error as ConnectError).code],
      message: (error as ConnectError).rawMessage
        .replace(/[0-9a-f-]{36}/, "<id>")
        // What follows tells where the time went.
        .replace(/(Deadline exceeded).*/, "$1"),
    }),
  );
}

const internal: Seen = { code: "Internal", message: "Internal error <id>" };
const swallowed: Seen = { code: "Unknown", message: "Internal server error" };
const hung: Seen = { code: "DeadlineExceeded", message: "Deadline exceeded" };

trap<Seen>(3, (serve) => answerOf(serve, { ask: () => EMPTY }, {}, 1000), {
  nest: ["a handler without a value leaves the caller waiting", hung],
  engine: ["a handler without a value is INTERNAL at once", internal],
});

trap<Seen>(3, (serve) => answerOf(serve, { ask: () => of({}, {}) }, {}, 1000), {
  nest: ["a handler with two values leaves the caller waiting", hung],
  engine: ["a handler with two values is INTERNAL at once", internal],
});

const badRequest = () => {
  throw new BadRequestException("No such thing");
};
trap<Seen>(4, (serve) => answerOf(serve, { ask: badRequest }), {
  nest: ["a BadRequestException arrives as UNKNOWN, without its text", swallowed],
  engine: [
    "a BadRequestException arrives as INVALID_ARGUMENT",
    { code: "InvalidArgument", message: "No such thing" },
  ],
});

const secret = () => {
  throw new Error("the password is hunter2");
};
trap<Seen>(4, (serve) => answerOf(serve, { ask: secret }), {
  nest: ["a plain Error arrives as UNKNOWN, with nothing to find it by", swallowed],
  engine: ["a plain Error arrives as INTERNAL, with an id to find it by", internal],
});

const nobody = { canActivate: () => false };
trap<Seen>(5, (serve) => answerOf(serve, { ask: () => ({}) }, { guard: nobody }), {
  nest: [
    "a guard that denies arrives as UNKNOWN",
    { code: "Unknown", message: "Forbidden resource" },
  ],
  engine: [
    "a guard that denies arrives as PERMISSION_DENIED",
    { code: "PermissionDenied", message: "Forbidden resource" },
  ],
});

trap<Seen>(11, (serve) => answerOf(serve, { ask: () => ({ mood: "NO_SUCH_MOOD" }) }), {
  nest: ["an enum name that does not exist is sent as 0", { text: "", mood: 0 }],
  engine: ["an enum name that does not exist is INTERNAL and not sent", internal],
});

test("trap 11, Nest's own transport: a number in a string field is sent as a string", async () => {
  const answer = await answerOf(nestTransport, { ask: () => ({ text: 42 }) });
  expect(answer).toEqual({ text: "42", mood: 0 });
});

test("trap 11, this engine: a number in a string field does not compile", () => {
  expectTypeOf<{ text: number }>().not.toExtend<MessageInitShape<typeof NoteSchema>>();
});

const typeOfNumber: Partial<Work> = {
  ask: ({ number }) => ({ text: `${typeof number} ${JSON.stringify(number, unbig)}` }),
};
trap<Seen>(12, (serve) => answerOf(serve, typeOfNumber), {
  nest: [
    "an int64 arrives in three parts",
    { text: 'object {"low":1,"high":2097152,"unsigned":false}', mood: 0 },
  ],
  engine: ["an int64 arrives as bigint", { text: 'bigint "9007199254740993"', mood: 0 }],
});

const asNumbers = { nest: { loader: { ...trialPackage.loader, longs: Number } } };
trap<Seen>(12, (serve) => answerOf(serve, typeOfNumber, asNumbers), {
  nest: [
    "an int64 loaded as a number loses its last digits",
    { text: "number 9007199254740992", mood: 0 },
  ],
  engine: ["an int64 keeps its last digits", { text: 'bigint "9007199254740993"', mood: 0 }],
});

function unbig(_: string, value: unknown) {
  return typeof value === "bigint" ? String(value) : value;
}
