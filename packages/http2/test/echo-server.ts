import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  defaultHttp2Limits,
  type HeaderList,
  Http2Connection,
  type Http2Limits,
  Http2Stream,
  indexedField,
  ReplyField,
  type Violation,
} from "../src/index.js";

/** A server that sends back what it receives, and keeps what a test wants to know of it. */
export interface EchoServer extends AsyncDisposable {
  readonly port: number;
  readonly connections: Http2Connection[];
  /** Header lists of the requests that came. */
  readonly headers: HeaderList[];
  readonly violations: Violation[];
  /** Streams that ended before their reply did. */
  readonly resets: number[];
}

const STATUS = indexedField(":status", "200");

class Echo extends Http2Stream {
  constructor(
    readonly server: EchoServer,
    ...stream: [connection: Http2Connection, id: number, headers: HeaderList]
  ) {
    super(...stream);
  }

  override onRequest(): void {
    this.server.headers.push(this.headers);
    if (this.headers.path === "/refuse") this.end([STATUS, new ReplyField("x-end", "no")]);
    else this.respond([STATUS]);
  }

  override onData(buf: Buffer, start: number, end: number): void {
    const bytes = Buffer.from(buf.subarray(start, end));
    const copyTo = (target: Buffer, offset: number) => void bytes.copy(target, offset);
    if (this.headers.path === "/keep") return;
    this.write({ byteLength: bytes.length, copyTo }, () => this.release(bytes.length));
  }

  override onEnd(): void {
    if (this.headers.path !== "/hang") this.end([new ReplyField("x-end", "yes")]);
  }

  override onReset(): void {
    this.server.resets.push(this.id);
  }
}

/**
 * Starts one on a free port. A request for `/hang` is never answered to its end, the data of one for
 * `/keep` is never released, and one for `/refuse` is answered before its data comes.
 */
export async function startEcho(limits: Partial<Http2Limits> = {}): Promise<EchoServer> {
  const connections: Http2Connection[] = [];
  const violations: Violation[] = [];
  const server = createServer((socket: Socket) => {
    const connection = new Http2Connection(socket, {
      limits: { ...defaultHttp2Limits, ...limits },
      createStream: (...stream) => new Echo(echo, ...stream),
      onConnectionFailed: (violation) => violations.push(violation),
      onStreamRefused: (violation) => violations.push(violation),
    });
    connections.push(connection);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const echo: EchoServer = {
    port: (server.address() as AddressInfo).port,
    connections,
    headers: [],
    violations,
    resets: [],
    async [Symbol.asyncDispose]() {
      for (const { socket } of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return echo;
}
