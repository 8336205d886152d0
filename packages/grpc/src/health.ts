import type { ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";

/**
 * Tells whether something that a service needs is there: resolves when it is, rejects when not.
 * The signal fires when the answer is no longer waited for.
 */
export type DependencyCheck = (signal: AbortSignal) => Promise<unknown>;

/**
 * The standard health service (grpc.health.v1): `""` and every service of the process are SERVING
 * while all dependencies are there, `liveness` as long as the process answers at all, and everything
 * but liveness is NOT_SERVING from the start of a drain.
 *
 * @example
 * new GrpcServer({ ..., dependencies: { postgres: (signal) => database.ping(signal) } });
 */
export class Health {
  #status = Status.NOT_SERVING;
  #draining = false;
  #timer: NodeJS.Timeout | undefined;
  #watchers = new Set<() => void>();
  #stopped = new AbortController();
  /** Names of the dependencies that were missing at the last look. */
  missing: string[] = [];

  constructor(
    private readonly services: () => Iterable<string>,
    private readonly dependencies: Record<string, DependencyCheck>,
    private readonly intervalMs: number,
  ) {}

  /** Looks at the dependencies now, and again after every interval. */
  async start(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const timeout = AbortSignal.timeout(Math.max(1000, this.intervalMs));
    const signal = AbortSignal.any([timeout, this.#stopped.signal]);
    const missing: string[] = [];
    for (const [name, check] of Object.entries(this.dependencies))
      await Promise.race([check(signal), rejection(signal)]).catch(() => missing.push(name));
    if (this.#stopped.signal.aborted) return;
    this.missing = missing;
    this.#set(missing.length === 0 ? Status.SERVING : Status.NOT_SERVING);
    if (Object.keys(this.dependencies).length === 0) return;
    this.#timer = setTimeout(() => void this.start(), this.intervalMs);
    this.#timer.unref();
  }

  /** NOT_SERVING for good. */
  drain(): void {
    this.#draining = true;
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#set(Status.NOT_SERVING);
  }

  /** The handlers of grpc.health.v1.Health. */
  readonly handlers: ServiceImpl<typeof HealthService> = {
    check: ({ service }) => {
      const status = this.#statusOf(service);
      if (status === Status.SERVICE_UNKNOWN)
        throw new ConnectError(`No service ${service} here`, Code.NotFound);
      return { status };
    },
    list: () => ({
      statuses: Object.fromEntries(
        ["", "liveness", ...this.services()].map((name) => [
          name,
          { status: this.#statusOf(name) },
        ]),
      ),
    }),
    watch: ({ service }, { signal }) => this.#watch(service, signal),
  };

  #statusOf(service: string): Status {
    if (service === "liveness") return Status.SERVING;
    if (service !== "" && ![...this.services()].includes(service)) return Status.SERVICE_UNKNOWN;
    return this.#status;
  }

  async *#watch(service: string, signal: AbortSignal) {
    let told: Status | undefined;
    while (!signal.aborted) {
      const status = this.#statusOf(service);
      if (status !== told) yield { status: (told = status) };
      else await this.#change(signal);
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#watchers.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener("abort", done);
    });
  }

  #set(status: Status): void {
    this.#status = this.#draining ? Status.NOT_SERVING : status;
    for (const tell of this.#watchers) tell();
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );
}
