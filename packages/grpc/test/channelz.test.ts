import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { errorOf, startTrial, trialClient } from "./trial-server.js";

type Count = Record<"calls_started" | "calls_succeeded" | "calls_failed", string>;

/** What the channelz of a server says to any gRPC client that asks. */
async function ask<Answer>(address: string, method: string, question: object): Promise<Answer> {
  const Channelz = grpc.makeClientConstructor(grpc.getChannelzServiceDefinition(), "Channelz");
  const client = new Channelz(address, grpc.credentials.createInsecure());
  const call = client[method]!.bind(client) as (
    question: object,
    told: grpc.requestCallback<Answer>,
  ) => void;
  try {
    return await new Promise((resolve, reject) =>
      call(question, (error, answer) => (error ? reject(error) : resolve(answer!))),
    );
  } finally {
    client.close();
  }
}

test("channelz counts the calls of the server, and names the connections that they came on", async () => {
  await using trial = await startTrial(
    {
      ask({ text }) {
        if (text === "fail") throw new Error("broken");
        return {};
      },
    },
    { channelz: true },
  );
  const { address } = trial.server;
  for (let i = 0; i < 3; i++) await trial.client.ask({});
  await errorOf(trial.client.ask({ text: "fail" }));

  const { server: servers } = await ask<{ server: { ref: { server_id: string }; data: Count }[] }>(
    address,
    "getServers",
    {},
  );
  // Whose listener is whose channelz cannot tell: the engine's is its own. A server that failed once
  // and answered three times is this one.
  const ours = servers.find(({ data }) => Number(data.calls_failed) === 1)!;
  // Those that ask are calls too.
  expect(Number(ours.data.calls_succeeded)).toBeGreaterThanOrEqual(3);
  expect(Number(ours.data.calls_failed)).toBe(1);
  expect(Number(ours.data.calls_started)).toBeGreaterThanOrEqual(4);

  const { server_id } = ours.ref;
  const { socket_ref } = await ask<{ socket_ref: { name: string }[] }>(
    address,
    "getServerSockets",
    { server_id },
  );
  expect(socket_ref.length).toBeGreaterThan(0);
});

test("without being told to, a server has no channelz", async () => {
  await using trial = await startTrial({ ask: () => ({}) });
  await expect(ask(trial.server.address, "getServers", {})).rejects.toMatchObject({
    code: grpc.status.UNIMPLEMENTED,
  });
});

test("channelz knows the channel that a client has, and what it was told to call", async () => {
  await using trial = await startTrial({ ask: () => ({}) }, { channelz: true });
  using client = trialClient(trial.server.address, {
    channelOptions: { "grpc.enable_channelz": 1 },
  });
  await client.ask({});
  const { channel } = await ask<{ channel: { data: { target: string } & Count }[] }>(
    trial.server.address,
    "getTopChannels",
    {},
  );
  const ours = channel.filter(({ data }) => data.target.endsWith(trial.server.address));
  expect(ours.map(({ data }) => data.calls_succeeded)).toContain("1");
});
