import {
  type ChannelOptions,
  connectivityState as State,
  experimental,
  type LoadBalancingConfig,
  status as Status,
} from "@grpc/grpc-js";
import { attemptsOf } from "../attempts.js";

/** Name of the policy in a service config. */
export const CHANNEL_POLICY = "emporium_channel";

/** What the engine's outermost policy is told. */
export interface ChannelPolicyConfig {
  resolveEveryMs: number;
  childPolicy: LoadBalancingConfig[];
}

class Config implements experimental.TypedLoadBalancingConfig {
  readonly child: experimental.TypedLoadBalancingConfig;

  constructor(readonly said: ChannelPolicyConfig) {
    const child = experimental.selectLbConfigFromList(said.childPolicy);
    if (!child) throw new Error(`${CHANNEL_POLICY}: no policy of childPolicy is known`);
    this.child = child;
  }

  static createFromJson(said: ChannelPolicyConfig): Config {
    return new Config(said);
  }

  getLoadBalancerName(): string {
    return CHANNEL_POLICY;
  }

  toJsonObject(): object {
    return { [CHANNEL_POLICY]: this.said };
  }
}

/**
 * Stands around whatever policy picks the replica. It sees each attempt of each call, which grpc-js
 * tells nobody else; it asks again and again which addresses the name has, where grpc-js asks only
 * when a connection breaks; and it tells outlier detection what a server is to blame for.
 */
class ChannelBalancer implements experimental.LoadBalancer {
  readonly #child: experimental.ChildLoadBalancerHandler;
  #state = State.IDLE;
  #known: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly channel: experimental.ChannelControlHelper) {
    this.#child = new experimental.ChildLoadBalancerHandler(
      experimental.createChildChannelControlHelper(channel, {
        updateState: (state, picker, error) => {
          this.#state = state;
          channel.updateState(state, new AttemptPicker(picker), error);
        },
      }),
    );
  }

  updateAddressList(
    endpoints: experimental.StatusOr<experimental.Endpoint[]>,
    config: experimental.TypedLoadBalancingConfig,
    options: ChannelOptions,
    note: string,
  ): boolean {
    if (!(config instanceof Config)) return false;
    this.#askAgain(config.said.resolveEveryMs);
    if (endpoints.ok) {
      const addresses = endpoints.value.map(experimental.endpointToString).sort();
      const told = JSON.stringify([addresses, config.said]);
      // Round robin starts anew with every list, also with the same one.
      if (told === this.#known && this.#state === State.READY) return true;
      this.#known = told;
    }
    return this.#child.updateAddressList(endpoints, config.child, options, note);
  }

  #askAgain(afterMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.channel.requestReresolution();
      this.#askAgain(afterMs);
    }, afterMs).unref();
  }

  exitIdle(): void {
    this.#child.exitIdle();
  }

  resetBackoff(): void {
    this.#child.resetBackoff();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#child.destroy();
  }

  getTypeName(): string {
    return CHANNEL_POLICY;
  }
}

/**
 * Codes that speak against a server. gRFC A50 counts all but OK, so that a replica which is asked for
 * what does not exist, or whose watchers hang up, would be left out.
 */
const BLAMED = new Set([
  Status.UNKNOWN,
  Status.DEADLINE_EXCEEDED,
  Status.RESOURCE_EXHAUSTED,
  Status.INTERNAL,
  Status.UNAVAILABLE,
  Status.DATA_LOSS,
]);

class AttemptPicker implements experimental.Picker {
  constructor(private readonly child: experimental.Picker) {}

  pick(args: experimental.PickArgs): experimental.PickResult {
    const pick = this.child.pick(args);
    if (pick.pickResultType !== experimental.PickResultType.COMPLETE) return pick;
    const attempts = attemptsOf(args.metadata);
    const peer = attempts && pick.subchannel!.getAddress();
    let ended: ((status: number) => void) | undefined;
    return {
      ...pick,
      onCallStarted() {
        ended = attempts?.started(args.metadata, peer!);
        pick.onCallStarted?.();
      },
      onCallEnded(code, details, metadata) {
        ended?.(code);
        pick.onCallEnded?.(BLAMED.has(code) ? code : Status.OK, details, metadata);
      },
    };
  }
}

experimental.registerLoadBalancerType(CHANNEL_POLICY, ChannelBalancer, Config);
