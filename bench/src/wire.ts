import { readFileSync } from "node:fs";
import http2, { constants } from "node:http2";
import { Agent, get } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { TlsFiles } from "@emporium/grpc";
import type { Round } from "./rpc/load.js";
import { callers } from "./callers.js";

/** Calls over TLS that see what comes over the wire, which no client library tells. */
export interface WireClient extends Disposable {
  /** One call; the messages that it was answered with. */
  call: () => Promise<number>;
  /** Bytes that have come in so far, with all that TLS and HTTP put around them. */
  received: () => number;
}

/** Opens connections that count their bytes before TLS takes its own off. */
class CountedSockets {
  readonly #tcp: Socket[] = [];
  readonly #files: { ca: Buffer; key: Buffer; cert: Buffer };

  constructor(
    private readonly port: number,
    { caFile, keyFile, certFile }: TlsFiles,
  ) {
    const [ca, key, cert] = [caFile, keyFile, certFile].map((file) => readFileSync(file));
    this.#files = { ca: ca!, key: key!, cert: cert! };
  }

  open(protocol: "h2" | "http/1.1"): TLSSocket {
    const socket = connectTcp({ port: this.port, host: "127.0.0.1", noDelay: true });
    this.#tcp.push(socket);
    return connectTls({ socket, host: "127.0.0.1", ALPNProtocols: [protocol], ...this.#files });
  }

  received(): number {
    return this.#tcp.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }
}

/** What a call of gRPC is made of. */
interface GrpcCall {
  path: string;
  request: Uint8Array;
  /** `identity`, or `gzip` where answers may be compressed. */
  accept: string;
}

/** gRPC over one connection, read as frames: grpc-js always takes gzip, and this one need not. */
export function grpcOverTls(port: number, files: TlsFiles, call: GrpcCall): WireClient {
  const sockets = new CountedSockets(port, files);
  const session = http2.connect(`https://127.0.0.1:${port}`, {
    createConnection: () => sockets.open("h2"),
  });
  // What fails the session fails each of its streams.
  session.on("error", () => undefined);
  const frame = Buffer.alloc(5 + call.request.length);
  frame.writeUInt32BE(call.request.length, 1);
  frame.set(call.request, 5);
  const headers = {
    ":method": "POST",
    ":path": call.path,
    te: "trailers",
    "content-type": "application/grpc",
    "grpc-accept-encoding": call.accept,
    "grpc-timeout": "30S",
  };
  return {
    call: () =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        const frames = new FrameCounter();
        let status: unknown;
        stream.on("response", (told) => (status = told["grpc-status"] ?? status));
        stream.on("trailers", (told) => (status = told["grpc-status"] ?? status));
        stream.on("data", (chunk: Buffer) => frames.take(chunk));
        stream.on("error", reject);
        stream.on("close", () =>
          status === "0"
            ? resolve(frames.count)
            : reject(new Error(`${call.path} ended with ${String(status)}`)),
        );
        stream.end(frame);
      }),
    received: () => sockets.received(),
    [Symbol.dispose]: () => session.destroy(undefined, constants.NGHTTP2_NO_ERROR),
  };
}

/** gRPC over HTTP/2, "Length-Prefixed-Message": a flag byte, four bytes of length, the message. */
class FrameCounter {
  count = 0;
  #head = Buffer.alloc(0);
  #rest = 0;

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const step = Math.min(this.#rest, chunk.length - at);
        this.#rest -= step;
        at += step;
        continue;
      }
      const more = chunk.subarray(at, at + 5 - this.#head.length);
      this.#head = Buffer.concat([this.#head, more]);
      at += more.length;
      if (this.#head.length < 5) return;
      this.#rest = this.#head.readUInt32BE(1);
      this.#head = Buffer.alloc(0);
      this.count += 1;
    }
  }
}

/** HTTP/1.1 with keep-alive over so many connections; a line of NDJSON is a message. */
export function httpOverTls(
  port: number,
  files: TlsFiles,
  { path, lines = false }: { path: string; lines?: boolean },
  connections: number,
): WireClient {
  const sockets = new CountedSockets(port, files);
  const agent = new (class extends Agent {
    override createConnection() {
      return sockets.open("http/1.1");
    }
  })({ keepAlive: true, maxSockets: connections });
  return {
    call: () =>
      new Promise((resolve, reject) => {
        const request = get({ host: "127.0.0.1", port, path, agent }, (response) => {
          let newlines = 0;
          response.on("data", (chunk: Buffer) => {
            if (lines) for (const byte of chunk) if (byte === 10) newlines += 1;
          });
          response.on("error", reject);
          response.on("end", () =>
            response.statusCode === 200
              ? resolve(lines ? newlines : 1)
              : reject(new Error(`${path} was answered with ${response.statusCode}`)),
          );
        });
        request.on("error", reject);
      }),
    received: () => sockets.received(),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** So many calls at once for so long; operations are messages, and each has its bytes. */
export async function wireLoad(
  client: WireClient,
  count: number,
  milliseconds: number,
): Promise<Round> {
  const before = client.received();
  let operations = 0;
  const round = await callers(count, milliseconds, async () => {
    const messages = await client.call();
    operations += messages;
  });
  if (round.failed > 0) throw new Error(`${round.failed} calls failed`);
  return { ...round, operations, bytes: (client.received() - before) / operations };
}
