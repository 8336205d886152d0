import { subscribe } from "node:diagnostics_channel";
import { currentCall } from "./call-context.js";
import { constants, type Http2Stream } from "node:http2";
import { setTimeout as wait } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** What goes wrong, for which calls. The first rule that fits a call is the one that is applied. */
export interface Fault {
  /** `package.Service/Method`, `package.Service`, or absent for every method. */
  method?: string;
  /** Share of the calls that it happens to, 0 to 1; 1 where absent. */
  share?: number;
  /** Wait so many milliseconds first. */
  delayMs?: number;
  /** End the call with this code. Where `afterMessages` is given, only then. */
  code?: Code;
  /** Let so many responses of a stream through before `code` or `reset`. */
  afterMessages?: number;
  /** Tear the HTTP/2 stream down (RST_STREAM) in place of an answer. */
  reset?: boolean;
}

/** Environment variable without which no fault is ever injected. */
export const FAULTS_SWITCH = "GRPC_FAULT_INJECTION";

/** Names the HTTP/2 stream of a call in its headers, so that a reset finds it. */
const STREAM = "x-fault-stream";

/**
 * Makes calls go wrong on purpose, for tests, lessons and drills: an interceptor for servers, and
 * the rules that it follows, which can be changed while it runs.
 *
 * Throws unless the environment variable `GRPC_FAULT_INJECTION` is `on`, so that no configuration
 * alone can break a system that people depend on.
 *
 * @example
 * const faults = new FaultInjection([{ method: "emporium.orders.v1.OrderService", share: 0.1,
 *   code: Code.Unavailable }]);
 * new GrpcServer({ ..., interceptors: [faults.interceptor] });
 * faults.rules = []; // the trouble is over
 */
export class FaultInjection {
  #streams = new Map<string, Http2Stream>();
  #count = 0;
  /** Faults that were injected. */
  injected = 0;

  constructor(
    public rules: Fault[] = [],
    private readonly random: () => number = Math.random,
    environment: Record<string, string | undefined> = process.env,
  ) {
    if (environment[FAULTS_SWITCH] !== "on")
      throw new Error(`Faults are only injected where ${FAULTS_SWITCH} is "on"`);
    subscribe("http2.server.stream.created", (message) => this.#name(message as CreatedStream));
  }

  readonly interceptor: Interceptor = (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const fault = this.rules.find(
      (rule) =>
        (rule.method === undefined ||
          rule.method === method ||
          rule.method === request.service.typeName) &&
        this.random() < (rule.share ?? 1),
    );
    if (!fault) return next(request);
    this.injected++;
    if (fault.delayMs) await wait(fault.delayMs, undefined, { signal: request.signal });
    const strike = () => this.#strike(fault, request.header);
    if (fault.afterMessages === undefined) {
      await strike();
      return next(request);
    }
    const answer = await next(request);
    return answer.stream
      ? { ...answer, message: cutAfter(answer.message, fault.afterMessages, strike) }
      : answer;
  };

  async #strike({ code, reset }: Fault, header: Headers): Promise<void> {
    if (reset) {
      currentCall()?.resetStream();
      this.#streams.get(header.get(STREAM) ?? "")?.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
    if (reset) throw new ConnectError("The stream was reset", Code.Aborted);
    if (code) throw new ConnectError("An injected fault", code);
  }

  #name({ stream, headers }: CreatedStream): void {
    const name = String(++this.#count);
    headers[STREAM] = name;
    this.#streams.set(name, stream);
    stream.once("close", () => this.#streams.delete(name));
  }
}

interface CreatedStream {
  stream: Http2Stream;
  headers: Record<string, string>;
}

async function* cutAfter<T>(
  messages: AsyncIterable<T>,
  count: number,
  strike: () => Promise<void>,
) {
  let passed = 0;
  for await (const message of messages) {
    if (passed++ === count) await strike();
    yield message;
  }
}
