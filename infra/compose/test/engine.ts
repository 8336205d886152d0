import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../../..");

/** Milliseconds that a daemon of our own gets to start. */
const START_MS = 60_000;

/** Runs `docker …` and returns what it prints; rejects with what it says where it fails. */
export async function docker(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("docker", words, {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout.trim();
}

/**
 * Finds an engine that runs, or starts one where that takes no more than being root. Returns why there
 * is none otherwise.
 */
export async function findEngine(): Promise<AsyncDisposable | string> {
  const works = (...words: string[]) =>
    docker(...words).then(
      () => true,
      () => false,
    );
  if (!(await works("compose", "version"))) return "docker compose is not installed";
  const engine = (await works("info")) ? new AsyncDisposableStack() : await startEngine();
  if (typeof engine === "string") return engine;
  const missing = await missingImages();
  if (missing.length === 0) return engine;
  try {
    await runMakeImages(missing);
    return engine;
  } catch {
    await engine[Symbol.asyncDispose]();
    return `${missing.join(", ")} can neither be pulled nor be made here`;
  }
}

async function startEngine(): Promise<AsyncDisposable | string> {
  if (process.getuid?.() !== 0) return "no engine runs, and only root could start one";
  await using parts = new AsyncDisposableStack();
  const place = await mkdtemp(join(tmpdir(), "emporium-engine-"));
  parts.defer(() => rm(place, { recursive: true, force: true }));
  const data = join(root, ".emporium/engine");
  await mkdir(data, { recursive: true });
  const log = await open(join(place, "log"), "w");
  parts.defer(() => log.close());
  const host = `unix://${join(place, "docker.sock")}`;
  const daemon = spawn(
    "dockerd",
    [
      "--data-root",
      data,
      "--exec-root",
      join(place, "run"),
      "--pidfile",
      join(place, "pid"),
      "--host",
      host,
    ],
    { stdio: ["ignore", log.fd, log.fd] },
  );
  const ended = once(daemon, "exit").catch(() => "dockerd is not installed");
  const { promise: failed, resolve: fail } = Promise.withResolvers<string>();
  void ended.then((why) => fail(typeof why === "string" ? why : "dockerd does not run here"));
  parts.defer(async () => {
    daemon.kill("SIGTERM");
    await ended;
  });
  process.env["DOCKER_HOST"] = host;
  const limit = AbortSignal.timeout(START_MS);
  for (;;) {
    const answer = await Promise.race([
      docker("info").then(
        () => "up",
        () => "down",
      ),
      failed,
    ]);
    if (answer === "up") return parts.move();
    if (answer !== "down") return answer;
    if (limit.aborted) return "dockerd does not answer";
    await delay(200);
  }
}

/** The images that neither are here nor can be pulled. */
async function missingImages(): Promise<string[]> {
  const configured = JSON.parse(
    await docker(
      "compose",
      "--file",
      "infra/docker/offline/compose.yaml",
      "config",
      "--format",
      "json",
    ),
  ) as { services: Record<string, { image: string }> };
  const missing: string[] = [];
  for (const name of ["node", "postgres", "nats"]) {
    const image = configured.services[name]!.image;
    const here = await docker("image", "inspect", image)
      .catch(() => docker("pull", image))
      .catch(() => "");
    if (!here) missing.push(name);
  }
  return missing;
}

async function runMakeImages(names: string[]): Promise<void> {
  const program = join(root, "infra/docker/offline/make-images.sh");
  const making = spawn(program, names, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const [code] = (await once(making, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}
