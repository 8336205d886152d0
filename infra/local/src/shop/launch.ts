import { join } from "node:path";
import { DataKeys } from "@emporium/database";
import { tlsFromFiles } from "@emporium/grpc";
import type { Guard } from "../guard/guard.js";
import { projectDirectory, stateDirectory } from "../project.js";
import {
  environmentOf,
  loadService,
  type ServiceName,
  serviceNames,
  type ServiceSettings,
  type ServiceStart,
} from "./services.js";

/** A service that was launched, and may not serve yet. */
export interface Launched {
  /** Its process. */
  pid: number;
  /** Rejects when its process ends without being asked. */
  lost: Promise<never>;
  stop(): Promise<unknown>;
}

/** Starts one service; `label` tells its replicas apart. */
export type Launch = (name: ServiceName, label: string, start: ServiceStart) => Promise<Launched>;

/** Milliseconds that a process gets to end after its own time for that is over. */
const EXTRA_GRACE_MS = 3_000;

/**
 * All services share one machine here, and V8 takes what it can get: by default they grow to 850 MB
 * together under load, with these to less than 600, for a sixth more CPU time.
 */
const HEAP_LIMITS = ["--max-semi-space-size=4", "--max-old-space-size=192"];

/** Makes the second start a third of a second faster; https://nodejs.org/api/module.html. */
const COMPILE_CACHE = join(stateDirectory, "compile-cache");

/** Lines of a service's log that are worth a look. */
const WORTH_TELLING = /"level":"(warn|error|fatal)"/;

/** Launches services in this process; `settings` go beyond what the shop tells them. */
export function launchHere(settings: ServiceSettings): Launch {
  return async (name, _, start) => {
    const service = await loadService(name);
    // Several servers and their callers share one event loop here: its delay is nobody's overload.
    const shedding = { maxEventLoopDelayMs: Infinity };
    const dataKeys = DataKeys.fromFile(start.dataKeysFile);
    const tls = tlsFromFiles(start.tlsFiles);
    const config = { ...start, tls, dataKeys, shedding, ...settings[name] };
    const running = await service.create(config);
    const { promise } = Promise.withResolvers<never>();
    return {
      pid: process.pid,
      lost: promise,
      stop: async () => running[Symbol.asyncDispose](),
    };
  };
}

/** Launches services as processes of their own, as in production. They have to be built. */
export function launchProcesses(options: {
  guard: Guard;
  /** The folder of the log files. */
  logs: string;
  nodeArguments?: string[] | undefined;
  /** More environment variables, asked for at each start. */
  environment?: ((label: string) => Record<string, string>) | undefined;
  /** Told the lines of their logs that are worth a look. */
  onLine?: ((label: string, line: string) => void) | undefined;
}): Launch {
  const { nodeArguments = HEAP_LIMITS } = options;
  return async (name, label, start) => {
    const launched = options.guard.spawn({
      name: label,
      program: process.execPath,
      programArguments: [
        ...nodeArguments,
        join(projectDirectory, "services", name, "dist/main.js"),
      ],
      environment: {
        ...process.env,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...environmentOf(start),
        ...options.environment?.(label),
      },
      stopSignal: "SIGTERM",
      graceMs: start.shutdownGraceMs + EXTRA_GRACE_MS,
      stage: serviceNames.indexOf(name) + 1,
      log: join(options.logs, `${label}.log`),
      tell: WORTH_TELLING.source,
      channel: true,
    });
    launched.onLine((line) => options.onLine?.(label, line));
    return launched;
  };
}
