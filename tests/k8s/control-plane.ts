import {
  execFile,
  spawn,
  type ChildProcess,
  type ChildProcessByStdio,
  type SpawnOptions,
} from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Authority } from "@emporium/local";
import { freePort } from "../../infra/local/src/ports.js";
import { root } from "./overlays.js";
import { programs } from "./programs.js";

/** What a command said, and how it ended. */
export interface Said {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A cluster without nodes: etcd, an API server, scheduler and controllers, on this machine alone. */
export class ControlPlane implements AsyncDisposable {
  /** Where its files are; gone with it. */
  readonly folder: string;
  readonly #inside: string[];
  readonly #children: ChildProcessByStdio<null, Readable, Readable>[] = [];
  /** With which its administrator is known. */
  kubeconfig = "";

  private constructor(folder: string, network?: string) {
    this.folder = folder;
    this.#inside = network ? ["nsenter", `--net=/run/netns/${network}`] : [];
  }

  /**
   * Starts one with certificates and keys of its own, on a free port; it is ready when this resolves.
   * `network` names a network namespace that all of it shall run in.
   */
  static async start(network?: string): Promise<ControlPlane> {
    const plane = new ControlPlane(await mkdtemp(join(tmpdir(), "emporium-k8s-")), network);
    try {
      await plane.#start();
      return plane;
    } catch (error) {
      await plane[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const at = (name: string) => join(this.folder, name);
    const authority = await Authority.open(at("authority"));
    const { certificate, privateKey } = await authority.issue("kube-apiserver");
    await writeFile(at("tls.crt"), certificate);
    await writeFile(at("tls.key"), privateKey, { mode: 0o600 });
    const { privateKey: tokenKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await writeFile(at("tokens.key"), tokenKey.export({ type: "sec1", format: "pem" }), {
      mode: 0o600,
    });
    const token = randomBytes(32).toString("base64url");
    await writeFile(at("tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });

    const socket = `unix://${at("etcd.sock")}`;
    this.#run("etcd", [
      `--data-dir=${at("etcd")}`,
      `--listen-client-urls=${socket}`,
      `--advertise-client-urls=${socket}`,
      `--listen-peer-urls=unix://${at("peer.sock")}`,
      "--unsafe-no-fsync",
    ]);
    const port = await freePort();
    const server = `https://127.0.0.1:${port}`;
    this.#run("kube-apiserver", [
      `--etcd-servers=${socket}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      `--tls-cert-file=${at("tls.crt")}`,
      `--tls-private-key-file=${at("tls.key")}`,
      `--token-auth-file=${at("tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${at("tokens.key")}`,
      `--service-account-signing-key-file=${at("tokens.key")}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      // No address of this machine is told to anybody.
      "--advertise-address=192.0.2.1",
      "--endpoint-reconciler-type=none",
    ]);
    this.kubeconfig = at("kubeconfig");
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
      clusters: [
        {
          name: "test",
          cluster: { server, "certificate-authority": join(at("authority"), "ca.crt") },
        },
      ],
      users: [{ name: "admin", user: { token } }],
    };
    await writeFile(this.kubeconfig, JSON.stringify(config), { mode: 0o600 });
    await this.until("the API server is ready", async () => {
      this.#mindDeaths();
      return (await this.kubectl("get", "--raw", "/readyz")).code === 0;
    });
    this.#run("kube-controller-manager", [
      `--kubeconfig=${this.kubeconfig}`,
      "--use-service-account-credentials",
      // A node that no kubelet speaks for is well until a test says otherwise.
      "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller",
      `--service-account-private-key-file=${at("tokens.key")}`,
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      "--secure-port=0",
    ]);
    this.#run("kube-scheduler", [
      `--kubeconfig=${this.kubeconfig}`,
      "--leader-elect=false",
      "--bind-address=127.0.0.1",
      "--secure-port=0",
    ]);
    // Pods may be made once their namespace has its account.
    await this.until("the controllers work", async () => {
      this.#mindDeaths();
      return (await this.kubectl("get", "serviceaccount", "default")).code === 0;
    });
  }

  #run(program: string, programArguments: string[]): void {
    this.keep(join(programs, program), programArguments);
  }

  /** Runs a program until the cluster ends; what it says is in a log of its name. */
  keep(program: string, programArguments: string[], options: SpawnOptions = {}): ChildProcess {
    const [first, ...others] = [...this.#inside, program, ...programArguments];
    const child = spawn(first!, others, {
      cwd: this.folder,
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log = createWriteStream(join(this.folder, `${basename(program)}.log`), { flags: "a" });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#children.push(child);
    return child;
  }

  #mindDeaths(): void {
    const dead = this.#children.find(({ exitCode, signalCode }) => exitCode ?? signalCode);
    if (dead) throw new Error(`${dead.spawnfile} ended: ${dead.exitCode ?? dead.signalCode}`);
  }

  /** Asks again until something holds; rejects after five minutes. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const patience = AbortSignal.timeout(300_000);
    while (!(await holds())) {
      if (patience.aborted) throw new Error(`Not in time: ${what}\n${await this.#lastWords()}`);
      await sleep(200);
    }
  }

  async #lastWords(): Promise<string> {
    const log = join(this.folder, "kube-apiserver.log");
    return (await readFile(log, "utf8")).split("\n").slice(-10).join("\n");
  }

  /** Runs a program with this cluster's kubectl first on its PATH, as its administrator. */
  run(program: string, programArguments: string[], input = ""): Promise<Said> {
    const { promise, resolve } = Promise.withResolvers<Said>();
    const [first, ...others] = [...this.#inside, program, ...programArguments];
    const child = execFile(
      first!,
      others,
      {
        cwd: root,
        maxBuffer: 64 * 1024 * 1024,
        env: {
          HOME: this.folder,
          KUBECONFIG: this.kubeconfig,
          PATH: `${this.folder}:${programs}:${process.env["PATH"]}`,
        },
      },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin!.on("error", () => undefined).end(input);
    return promise;
  }

  /** kubectl, as the cluster's administrator. */
  kubectl(...kubectlArguments: string[]): Promise<Said> {
    return this.run(join(programs, "kubectl"), kubectlArguments);
  }

  /** kubectl with objects, or their text, as its standard input. */
  kubectlWith(input: string | object, ...kubectlArguments: string[]): Promise<Said> {
    const text = typeof input === "string" ? input : JSON.stringify(input);
    return this.run(join(programs, "kubectl"), [...kubectlArguments, "--filename", "-"], text);
  }

  /** Puts a program of this name in front of those of PATH, for what `run` runs. */
  async standIn(name: string, script: string): Promise<void> {
    await writeFile(join(this.folder, name), script, { mode: 0o755 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing of it is kept, so nothing has to be put in order first.
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}
