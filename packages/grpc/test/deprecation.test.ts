import { type CallOptions, Code } from "@connectrpc/connect";
import { type Meter, metrics } from "@opentelemetry/api";
import { expect, test } from "vitest";
import type { DeprecatedCallsOptions } from "../src/index.js";
import { handlers, startTestServer } from "../src/testing.js";
import { AgingService } from "./generated/trial/v1/trial_pb.js";
import { errorOf } from "./trial-server.js";

const warning = { deprecation: "@1795392000", sunset: "Wed, 30 Jun 2027 00:00:00 GMT" };

async function startAging(deprecatedCalls: DeprecatedCallsOptions = {}) {
  const server = await startTestServer(
    { deprecatedCalls },
    handlers(AgingService, {
      askOld: ({ text }) => ({ text }),
      async *readOld({ text }) {
        yield { text };
      },
      askNew: ({ text }) => ({ text }),
    }),
  );
  return Object.assign(server, { aging: server.client(AgingService) });
}

/** A call's options, and what it has been warned with. */
function listening() {
  const seen = { headers: {}, trailers: {} };
  const warnings = (from: Headers) =>
    Object.fromEntries([...from].filter(([name]) => name in warning));
  const options: CallOptions = {
    onHeader: (headers) => (seen.headers = warnings(headers)),
    onTrailer: (trailers) => (seen.trailers = warnings(trailers)),
  };
  return { seen, options, warnings };
}

/** A meter that keeps what its counter is told. */
function countingMeter(): { meter: Meter; counted: unknown[] } {
  const counted: unknown[] = [];
  const meter: Meter = Object.create(metrics.getMeter("test")) as Meter;
  meter.createCounter = (name) => ({
    add: (value, attributes) => void counted.push({ name, value, ...attributes }),
  });
  return { meter, counted };
}

test("an answer of a deprecated method says since when it is, and when it goes away", async () => {
  await using server = await startAging();
  const unary = listening();
  await server.aging.askOld({}, unary.options);
  expect(unary.seen).toEqual({ headers: warning, trailers: {} });
  const stream = listening();
  await Array.fromAsync(server.aging.readOld({}, stream.options));
  expect(stream.seen).toEqual({ headers: warning, trailers: {} });
});

test("a failure of a deprecated method says so in its trailers", async () => {
  await using server = await startAging();
  const error = await errorOf(server.aging.askOld({ text: "x".repeat(1001) }));
  expect(error).toMatchObject({ code: Code.InvalidArgument });
  const { metadata } = error as { metadata: Headers };
  expect(listening().warnings(metadata)).toEqual(warning);
});

test("a method that stays warns nobody and is not counted", async () => {
  const { meter, counted } = countingMeter();
  await using server = await startAging({ meter });
  const { seen, options } = listening();
  await server.aging.askNew({}, options);
  expect(seen).toEqual({ headers: {}, trailers: {} });
  expect(counted).toEqual([]);
});

test("calls of deprecated methods are counted by the program that makes them, failed ones too", async () => {
  const { meter, counted } = countingMeter();
  await using server = await startAging({ meter });
  await server.aging.askOld({});
  await errorOf(server.aging.askOld({ text: "x".repeat(1001) }));
  await Array.fromAsync(server.aging.readOld({}));
  const call = (name: string) => ({
    name: "rpc.server.deprecated.calls",
    value: 1,
    "rpc.system.name": "grpc",
    "rpc.method": `trial.v1.AgingService/${name}`,
    "rpc.caller": expect.stringMatching(/^grpc-node-js\//) as string,
  });
  expect(counted).toEqual([call("AskOld"), call("AskOld"), call("ReadOld")]);
});

test("who calls can be told by other means, and by a name of bounded length", async () => {
  const { meter, counted } = countingMeter();
  const callerOf = ({ requestHeader, peer }: { requestHeader: Headers; peer: string }) =>
    `${requestHeader.get("x-service")} ${peer.split(":")[0]} ${"x".repeat(200)}`;
  await using server = await startAging({ meter, callerOf });
  await server.aging.askOld({}, { headers: { "x-service": "checkout" } });
  expect(counted).toMatchObject([{ "rpc.caller": `checkout 127.0.0.1 ${"x".repeat(81)}` }]);
});
