import { createHistogram } from "node:perf_hooks";
import * as grpc from "@grpc/grpc-js";
import { PING_PONGS, type Scenario, scenarios, STREAM_MESSAGES } from "./subject.js";

/** How a round of calls went, as the caller saw it. */
export interface Round {
  /** RPCs, or messages of streams. */
  operations: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

const same = (bytes: Buffer) => bytes;

/** Calls a server for so long, so many calls at once. Requests and answers stay bytes. */
export async function load(
  port: number,
  scenario: Scenario,
  milliseconds: number,
  credentials = grpc.credentials.createInsecure(),
): Promise<Round> {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials, {
    "grpc.enable_channelz": 0,
  });
  const { kind, path, request } = scenarios[scenario];
  const bytes = Buffer.from(request);
  const call = { unary, server: readAll, client: sendAll, bidi: pingPong }[kind];
  const histogram = createHistogram();
  const start = performance.now();
  let operations = 0;
  const worker = async () => {
    while (performance.now() - start < milliseconds) {
      const began = performance.now();
      const done = await call(client, path, bytes);
      operations += done;
      histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
    }
  };
  await Promise.all(Array.from({ length: kind === "unary" ? 64 : 4 }, worker));
  const seconds = (performance.now() - start) / 1000;
  client.close();
  return {
    operations,
    seconds,
    p50Ms: histogram.percentile(50) / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
  };
}

/** A stream that hangs, as grpc-js's can (grpc/grpc-node #1839), is given up. */
const patience = () => ({ deadline: Date.now() + 60_000 });

type Call = (client: grpc.Client, path: string, request: Buffer) => Promise<number>;

const unary: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, request, (error) =>
      error ? reject(error) : resolve(1),
    );
  });

const readAll: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    let messages = 0;
    client
      .makeServerStreamRequest(path, same, same, request, patience())
      .on("data", () => messages++)
      .on("error", reject)
      .on("end", () => resolve(messages));
  });

const sendAll: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(path, same, same, patience(), (error) =>
      error ? reject(error) : resolve(STREAM_MESSAGES),
    );
    let sent = 0;
    const more = () => {
      while (sent < STREAM_MESSAGES) {
        sent++;
        if (!call.write(request)) return void call.once("drain", more);
      }
      call.end();
    };
    more();
  });

const pingPong: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    let turns = 0;
    const call = client
      .makeBidiStreamRequest(path, same, same, patience())
      .on("data", () => (++turns < PING_PONGS ? call.write(request) : call.end()))
      .on("error", reject)
      .on("end", () => resolve(turns));
    call.write(request);
  });
