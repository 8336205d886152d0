import {
  type ChannelOptions,
  connectivityState as State,
  experimental,
  type Metadata,
} from "@grpc/grpc-js";
import { ReportedLoad } from "./reported-load.js";

/** Name of the policy in a service config. */
export const REPLICA_POLICY = "emporium_replicas";

/** By what a replica is chosen: calls under way (gRFC A48), or its own reports (gRFC A58). */
export type ReplicaPolicyConfig =
  | { by: "calls"; choices: number }
  | { by: "reports"; blackoutMs: number; expirationMs: number; errorPenalty: number };

class Config implements experimental.TypedLoadBalancingConfig {
  constructor(readonly said: ReplicaPolicyConfig) {}

  static createFromJson(said: ReplicaPolicyConfig): Config {
    return new Config(said);
  }

  getLoadBalancerName(): string {
    return REPLICA_POLICY;
  }

  toJsonObject(): object {
    return { [REPLICA_POLICY]: this.said };
  }
}

/** One address that the name has, connected or not. */
interface Replica {
  readonly leaf: experimental.LeafLoadBalancer;
  readonly load: ReportedLoad;
  /** Calls under way. */
  calls: number;
}

interface ReadyReplica {
  readonly replica: Replica;
  readonly picker: experimental.Picker;
}

/**
 * Keeps a connection to every replica and chooses among those that have one, as grpc-js's round robin
 * does, but with what is known of each replica: grpc-js has no least request, and its
 * `weighted_round_robin` starves replicas that have not reported yet (`test/known/balancing.test.ts`).
 */
class ReplicaBalancer implements experimental.LoadBalancer {
  readonly #replicas = new Map<string, Replica>();
  #config: ReplicaPolicyConfig = { by: "calls", choices: 2 };
  #state = State.IDLE;
  #lastError = "";
  #updating = false;

  constructor(private readonly channel: experimental.ChannelControlHelper) {}

  updateAddressList(
    endpoints: experimental.StatusOr<experimental.Endpoint[]>,
    config: experimental.TypedLoadBalancingConfig,
    options: ChannelOptions,
    note: string,
  ): boolean {
    if (!(config instanceof Config)) return false;
    this.#config = config.said;
    if (!endpoints.ok) {
      // Yesterday's addresses are better than none.
      if (this.#replicas.size === 0) this.#fail(endpoints.error.details);
      return true;
    }
    this.#updating = true;
    const listed = new Set(endpoints.value.map(experimental.endpointToString));
    for (const [name, { leaf }] of this.#replicas) {
      if (listed.has(name)) continue;
      this.#replicas.delete(name);
      leaf.destroy();
    }
    for (const endpoint of endpoints.value) this.#add(endpoint, options, note);
    this.#updating = false;
    if (listed.size === 0) this.#fail(`The name has no address. ${note}`);
    else this.#publish();
    return listed.size > 0;
  }

  #add(endpoint: experimental.Endpoint, options: ChannelOptions, note: string): void {
    const name = experimental.endpointToString(endpoint);
    const known = this.#replicas.get(name);
    if (known) return known.leaf.updateEndpoint(endpoint, options);
    const load = new ReportedLoad();
    const helper = experimental.createChildChannelControlHelper(this.channel, {
      updateState: (state, _picker, error) => {
        if (this.#state === State.READY && state !== State.READY)
          this.channel.requestReresolution();
        if (state !== State.READY) load.reset();
        if (error) this.#lastError = error;
        this.#publish();
      },
    });
    const leaf = new experimental.LeafLoadBalancer(endpoint, helper, options, note);
    this.#replicas.set(name, { leaf, load, calls: 0 });
    leaf.startConnecting();
  }

  #publish(): void {
    if (this.#updating) return;
    const replicas = [...this.#replicas.values()];
    const inState = (state: State) =>
      replicas.filter(({ leaf }) => leaf.getConnectivityState() === state);
    const ready = inState(State.READY);
    if (ready.length > 0) this.#tell(State.READY, this.#picker(ready));
    else if (inState(State.CONNECTING).length > 0)
      this.#tell(State.CONNECTING, new experimental.QueuePicker(this));
    else if (inState(State.TRANSIENT_FAILURE).length > 0)
      this.#fail(`No connection established. Last error: ${this.#lastError}`);
    else this.#tell(State.IDLE, new experimental.QueuePicker(this));
    for (const { leaf } of inState(State.IDLE)) leaf.exitIdle();
  }

  #picker(replicas: Replica[]): experimental.Picker {
    const ready = replicas.map((replica) => ({ replica, picker: replica.leaf.getPicker() }));
    const config = this.#config;
    return config.by === "calls"
      ? new FewestCalls(ready, config.choices)
      : new ByWeight(ready, (replica) => replica.load.weight(config), config.errorPenalty);
  }

  #fail(details: string): void {
    const picker = new experimental.UnavailablePicker({ details });
    this.#tell(State.TRANSIENT_FAILURE, picker, details);
  }

  #tell(state: State, picker: experimental.Picker, error: string | null = null): void {
    this.#state = state;
    this.channel.updateState(state, picker, error);
  }

  /** Replicas are never left idle. */
  exitIdle(): void {}

  /** Each connection has its own. */
  resetBackoff(): void {}

  destroy(): void {
    for (const { leaf } of this.#replicas.values()) leaf.destroy();
    this.#replicas.clear();
  }

  getTypeName(): string {
    return REPLICA_POLICY;
  }
}

/** The one with the fewest calls under way among a few taken at random. */
class FewestCalls implements experimental.Picker {
  constructor(
    private readonly ready: ReadyReplica[],
    private readonly choices: number,
  ) {}

  pick(args: experimental.PickArgs): experimental.PickResult {
    let best = this.#any();
    for (let i = 1; i < this.choices; i++) {
      const other = this.#any();
      if (other.replica.calls < best.replica.calls) best = other;
    }
    const { replica, picker } = best;
    const pick = picker.pick(args);
    if (pick.pickResultType !== experimental.PickResultType.COMPLETE) return pick;
    return {
      ...pick,
      onCallStarted() {
        replica.calls++;
        pick.onCallStarted?.();
      },
      onCallEnded(code, details, metadata) {
        replica.calls--;
        pick.onCallEnded?.(code, details, metadata);
      },
    };
  }

  #any(): ReadyReplica {
    return this.ready[Math.floor(Math.random() * this.ready.length)]!;
  }
}

/** Milliseconds that weights are used before they are looked at again. */
const WEIGHTS_MS = 1_000;

/** Earliest deadline first: a replica's turn comes `1 / weight` after its last. */
class ByWeight implements experimental.Picker {
  readonly #turns: (ReadyReplica & { due: number; period: number })[];
  #validUntil = -Infinity;

  constructor(
    ready: ReadyReplica[],
    private readonly weightOf: (replica: Replica) => number,
    private readonly errorPenalty: number,
  ) {
    this.#turns = ready.map((each) => ({ ...each, due: 0, period: 1 }));
  }

  pick(args: experimental.PickArgs): experimental.PickResult {
    if (performance.now() >= this.#validUntil) this.#weigh();
    const turn = this.#turns.reduce((first, other) => (other.due < first.due ? other : first));
    turn.due += turn.period;
    const pick = turn.picker.pick(args);
    if (pick.pickResultType !== experimental.PickResultType.COMPLETE) return pick;
    return {
      ...pick,
      onCallEnded: (code, details, metadata: Metadata) => {
        turn.replica.load.read(metadata, this.errorPenalty);
        pick.onCallEnded?.(code, details, metadata);
      },
    };
  }

  /** A replica that says nothing counts as the mean of the others; fewer than two reports say nothing. */
  #weigh(): void {
    this.#validUntil = performance.now() + WEIGHTS_MS;
    const weights = this.#turns.map(({ replica }) => this.weightOf(replica));
    const known = weights.filter((weight) => weight > 0);
    const mean = known.reduce((sum, weight) => sum + weight, 0) / known.length;
    for (const [i, turn] of this.#turns.entries()) {
      turn.period = known.length < 2 ? 1 : 1 / (weights[i] || mean);
      turn.due = Math.random() * turn.period;
    }
  }
}

experimental.registerLoadBalancerType(REPLICA_POLICY, ReplicaBalancer, Config);
