import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import {
  Code,
  ConnectError,
  createRouterTransport,
  createFailure,
  reasonOf,
} from "../src/index.js";
import { Reason, ReasonSchema, TrialService } from "./generated/trial/v1/trial_pb.js";
import { Echo } from "./nest/application.js";
import { errorOf } from "./trial-server.js";

/** A controller is a plain object that implements its service: it needs no server to be tried out. */
const clientOf = (controller: Echo) =>
  createClient(
    TrialService,
    createRouterTransport(({ service }) => service(TrialService, controller)),
  );

async function* notes(...texts: string[]) {
  for (const text of texts) yield { text };
}

test("a controller answers all four kinds without a network", async () => {
  const client = clientOf(new Echo());
  expect((await client.ask({ text: "one" })).text).toBe("one");
  const [read, written, talked] = await Promise.all([
    Array.fromAsync(client.read({ text: "two", number: 2n })),
    client.write(notes("three", "four")),
    Array.fromAsync(client.talk(notes("five", "six"))),
  ]);
  expect(read.map(({ number }) => number)).toEqual([1n, 2n]);
  expect(written.number).toBe(2n);
  expect(talked.map(({ text }) => text)).toEqual(["five", "six"]);
});

test("a failure of the contract is the same without a network", async () => {
  const failure = createFailure<Reason>(ReasonSchema);
  class Refusing extends Echo {
    override ask(): never {
      throw failure(Reason.BARE, "Out of range");
    }
  }
  const error = await errorOf(clientOf(new Refusing()).ask({}));
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code: Code.OutOfRange });
  expect(reasonOf(error)).toMatchObject({ reason: "BARE", domain: "trial.example" });
});
