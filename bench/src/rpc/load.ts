import { createHistogram } from "node:perf_hooks";
import * as grpc from "@grpc/grpc-js";
import { type Scenario, scenarios } from "./subject.js";

/** How a round of calls went, as the caller saw it. */
export interface Round {
  /** RPCs, or messages of streams. */
  operations: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Bytes that came in for each of them, where the caller can tell. */
  bytes?: number;
}

/** What a round of calls is made of. */
export interface RoundSize {
  milliseconds: number;
  /** Messages of one call up a stream; 10,000 where absent. A conversation has a tenth of them. */
  messages?: number;
}

const same = (bytes: Buffer) => bytes;

/**
 * Calls a server for so long, so many calls at once. Requests and answers stay bytes. When one call
 * fails no other is begun; rejects when the last of them is over, so that no call and no connection
 * is left to disturb, or keep alive, what comes next.
 */
export async function load(
  port: number,
  scenario: Scenario,
  { milliseconds, messages = 10_000 }: RoundSize,
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
  const failures: unknown[] = [];
  const worker = async () => {
    try {
      while (failures.length === 0 && performance.now() - start < milliseconds) {
        const began = performance.now();
        const done = await call(client, path, bytes, messages);
        operations += done;
        histogram.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
      }
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: kind === "unary" ? 64 : 4 }, worker));
  const seconds = (performance.now() - start) / 1000;
  client.close();
  if (failures.length > 0) throw failures[0];
  return {
    operations,
    seconds,
    p50Ms: histogram.percentile(50) / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
  };
}

/** A call that hangs, as grpc-js's can (grpc/grpc-node #1839), is given up. */
const patience = () => ({ deadline: Date.now() + 30_000 });

type Call = (
  client: grpc.Client,
  path: string,
  request: Buffer,
  messages: number,
) => Promise<number>;

const unary: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, request, patience(), (error) =>
      error ? reject(error) : resolve(1),
    );
  });

const readAll: Call = (client, path, request) =>
  new Promise((resolve, reject) => {
    let received = 0;
    client
      .makeServerStreamRequest(path, same, same, request, patience())
      .on("data", () => received++)
      .on("error", reject)
      .on("end", () => resolve(received));
  });

const sendAll: Call = (client, path, request, messages) =>
  new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(path, same, same, patience(), (error) =>
      error ? reject(error) : resolve(messages),
    );
    let sent = 0;
    const more = () => {
      while (sent < messages) {
        sent++;
        if (!call.write(request)) return void call.once("drain", more);
      }
      call.end();
    };
    more();
  });

const pingPong: Call = (client, path, request, messages) =>
  new Promise((resolve, reject) => {
    let turns = 0;
    const call = client
      .makeBidiStreamRequest(path, same, same, patience())
      .on("data", () => (++turns < messages / 10 ? call.write(request) : call.end()))
      .on("error", reject)
      .on("end", () => resolve(turns));
    call.write(request);
  });
