import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Something between a client and its server that can go wrong. */
export interface Proxy extends AsyncDisposable {
  readonly address: string;
  /** Connections of clients that are open now. */
  readonly open: number;
  /** Connections that clients ever opened. */
  readonly opened: number;
  /** Stays connected and passes nothing on, for those connected now: a black hole. */
  swallow(): void;
  /** Resets every connection (RST). */
  reset(): void;
  /** Where connections go that are opened from now on. */
  target: string;
}

/**
 * Starts one on a free port.
 *
 * @example
 * await using proxy = await startProxy(server.address);
 * using client = trialClient(proxy.address);
 */
export async function startProxy(target: string): Promise<Proxy> {
  const pairs = new Map<Socket, Socket>();
  let opened = 0;
  const server = createServer((client) => {
    opened++;
    const [host, port] = proxy.target.split(":");
    const upstream = connect(Number(port), host);
    pairs.set(client, upstream);
    client.on("error", () => {}).on("close", () => (pairs.delete(client), upstream.destroy()));
    upstream.on("error", () => {}).on("close", () => client.destroy());
    client.setNoDelay().pipe(upstream.setNoDelay()).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: Proxy = {
    target,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get open() {
      return pairs.size;
    },
    get opened() {
      return opened;
    },
    swallow() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream).resume();
        upstream.unpipe(client).resume();
      }
    },
    reset() {
      for (const [client, upstream] of pairs) {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const client of pairs.keys()) client.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return proxy;
}
