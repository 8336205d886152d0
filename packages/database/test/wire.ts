import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A wire to Postgres that a test can cut, or let swallow what passes. */
export class Wire implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #cutAfter: string | undefined;
  #delay: { text: string; ms: number } | undefined;
  #silent = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server);
    server.on("connection", (near) => wire.#join(near, connect(port, "127.0.0.1")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next message with this text still arrives; its answer does not. */
  cutAfter(text: string): void {
    this.#cutAfter = text;
  }

  /** The next message with this text arrives late. */
  delay(text: string, ms: number): void {
    this.#delay = { text, ms };
  }

  /** Nothing passes any more in either direction, and no end of connection either. */
  fallSilent(): void {
    this.#silent = true;
  }

  speakAgain(): void {
    this.#silent = false;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#silent) to.destroy();
      });
    }
    near.on("data", (data) => {
      if (this.#silent) return;
      if (this.#cutAfter !== undefined && data.includes(this.#cutAfter)) {
        this.#cutAfter = undefined;
        far.removeAllListeners("data");
        far.once("data", () => near.destroy());
      }
      if (this.#delay !== undefined && data.includes(this.#delay.text)) {
        setTimeout(() => far.write(data), this.#delay.ms);
        this.#delay = undefined;
      } else far.write(data);
    });
    far.on("data", (data) => {
      if (!this.#silent) near.write(data);
    });
  }
}
