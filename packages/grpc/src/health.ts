import type { DescService } from "@bufbuild/protobuf";
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

/** Something that not every service of a process needs. */
export interface Dependency {
  check: DependencyCheck;
  /** The services that cannot serve without it; with none, its absence is told and changes nothing. */
  neededBy: readonly DescService[];
}

/**
 * The standard health service (grpc.health.v1): a service is SERVING while the dependencies that it
 * needs are there, `""` while none is missing that any service needs, `liveness` as long as the
 * process answers at all, and everything but liveness is NOT_SERVING from the start of a drain.
 *
 * @example
 * new GrpcServer({
 *   ...,
 *   dependencies: {
 *     postgres: (signal) => database.ping(signal),
 *     // Events wait in the outbox.
 *     nats: { check: () => events.connected(), neededBy: [] },
 *   },
 * });
 */
export class Health {
  /** Names of services that lack something, and `""` for the process; `undefined` before the first look. */
  #lacking: Set<string> | undefined;
  #draining = false;
  #timer: NodeJS.Timeout | undefined;
  #watchers = new Set<() => void>();
  #stopped = new AbortController();
  /** Names of the dependencies that were missing at the last look. */
  missing: string[] = [];

  constructor(
    private readonly services: () => Iterable<string>,
    private readonly dependencies: Record<string, DependencyCheck | Dependency>,
    private readonly intervalMs: number,
  ) {}

  /** Looks at the dependencies now, and again after every interval. */
  async start(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const timeout = AbortSignal.timeout(Math.max(1000, this.intervalMs));
    const signal = AbortSignal.any([timeout, this.#stopped.signal]);
    const missing: string[] = [];
    const lacking = new Set<string>();
    for (const [name, dependency] of Object.entries(this.dependencies)) {
      const { check, neededBy } =
        typeof dependency === "function" ? { check: dependency, neededBy: undefined } : dependency;
      const there = await Promise.race([check(signal), rejection(signal)]).then(
        () => true,
        () => false,
      );
      if (there) continue;
      missing.push(name);
      const without = neededBy?.map(({ typeName }) => typeName) ?? [...this.services()];
      if (neededBy?.length !== 0) for (const lack of ["", ...without]) lacking.add(lack);
    }
    if (this.#stopped.signal.aborted) return;
    this.missing = missing;
    this.#lacking = lacking;
    this.#tell();
    if (Object.keys(this.dependencies).length === 0) return;
    this.#timer = setTimeout(() => void this.start(), this.intervalMs);
    this.#timer.unref();
  }

  /** NOT_SERVING for good. */
  drain(): void {
    this.#draining = true;
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#tell();
  }

  /** The handlers of grpc.health.v1.Health. */
  readonly handlers: ServiceImpl<typeof HealthService> = {
    check: ({ service }) => {
      const status = this.#statusOf(service);
      if (status === Status.SERVICE_UNKNOWN)
        throw new ConnectError(`No such service: ${service.slice(0, 200)}`, Code.NotFound);
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
    const serves = !this.#draining && this.#lacking && !this.#lacking.has(service);
    return serves ? Status.SERVING : Status.NOT_SERVING;
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

  #tell(): void {
    for (const tell of this.#watchers) tell();
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );
}
