import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watch } from "node:fs";
import { resolveTool } from "@emporium/local/tools";

const START_LIMIT_MS = 15_000;

/** A real nats-server of this test file's own, in a temporary folder, on a free port. */
export class TestNats implements AsyncDisposable {
  #process: ChildProcess | undefined;
  #port = -1;

  private constructor(private readonly folder: string) {}

  static async start(): Promise<TestNats> {
    const nats = new TestNats(await mkdtemp(join(tmpdir(), "emporium-nats-")));
    await nats.start();
    return nats;
  }

  /** A server that is not running yet, with the address that it will have. */
  static async away(): Promise<TestNats> {
    const nats = await TestNats.start();
    await nats.stop();
    return nats;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** Starts it on the port that it had, with the store that it had. */
  async start(): Promise<void> {
    const config = join(this.folder, "server.conf");
    const ports = `${this.folder}/`;
    await rm(join(this.folder, "ports"), { recursive: true, force: true });
    await writeFile(
      config,
      `listen: "127.0.0.1:${this.#port}"
ports_file_dir: "${ports}"
jetstream { store_dir: "${join(this.folder, "store")}", sync_interval: always }
`,
    );
    const started = spawn(await resolveTool("nats-server"), ["-c", config], { stdio: "ignore" });
    this.#process = started;
    const failed = once(started, "exit").then(([code]) => {
      throw new Error(`nats-server ended with code ${code}`);
    });
    failed.catch(() => undefined);
    const file = join(this.folder, `nats-server_${started.pid}.ports`);
    const { nats } = await Promise.race([readPorts(this.folder, file), failed]);
    this.#port = Number(new URL(nats[0]!).port);
  }

  /** Stops it as a crash would. */
  async stop(): Promise<void> {
    const running = this.#process;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  /** Loses everything; only while it is stopped. */
  async wipe(): Promise<void> {
    await rm(join(this.folder, "store"), { recursive: true, force: true });
  }

  /** Keeps a copy of the store; only while it is stopped. */
  async save(): Promise<void> {
    await cp(join(this.folder, "store"), join(this.folder, "saved"), { recursive: true });
  }

  /** Sets the store back to the copy; only while it is stopped. */
  async restore(): Promise<void> {
    await this.wipe();
    await cp(join(this.folder, "saved"), join(this.folder, "store"), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The server writes this file when it listens. */
async function readPorts(folder: string, file: string): Promise<{ nats: string[] }> {
  const changes = watch(folder);
  const timer = setTimeout(() => changes.emit("error", new Error("no start")), START_LIMIT_MS);
  try {
    for (;;) {
      const changed = once(changes, "change");
      const text = await readFile(file, "utf8").catch(() => "");
      if (text.endsWith("}")) return JSON.parse(text) as { nats: string[] };
      await changed;
    }
  } finally {
    clearTimeout(timer);
    changes.close();
  }
}
