import { BlockList } from "node:net";
import type { Resource } from "./overlays.js";

/** Somebody who may try to reach somebody: a pod, or an address outside of the cluster. */
export interface Peer {
  name: string;
  namespace: string | undefined;
  labels: Record<string, string>;
  ip: string;
}

interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values: string[] }[];
}
interface PolicyPeer {
  podSelector?: Selector;
  namespaceSelector?: Selector;
  ipBlock?: { cidr: string; except?: string[] };
}
interface Rule {
  from?: PolicyPeer[];
  to?: PolicyPeer[];
  ports?: { port: number; protocol: string }[];
}

function selects(selector: Selector, labels: Record<string, string>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== "In") throw new Error(`${operator} is not known here`);
      return values.includes(labels[key] ?? "");
    })
  );
}

function within(ip: string, cidrs: string[]): boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [network, bits] = cidr.split("/");
    list.addSubnet(network!, Number(bits));
  }
  return list.check(ip);
}

function matches(peer: Peer, rule: PolicyPeer, own: string): boolean {
  if (rule.ipBlock)
    return within(peer.ip, [rule.ipBlock.cidr]) && !within(peer.ip, rule.ipBlock.except ?? []);
  if (peer.namespace === undefined) return false;
  const namespace = { "kubernetes.io/metadata.name": peer.namespace };
  const there = rule.namespaceSelector
    ? selects(rule.namespaceSelector, namespace)
    : peer.namespace === own;
  return there && selects(rule.podSelector ?? {}, peer.labels);
}

function allows(
  policies: Resource[],
  direction: "Ingress" | "Egress",
  [self, other, port]: [Peer, Peer, number],
): boolean {
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === self.namespace &&
      spec.policyTypes.includes(direction) &&
      selects(spec.podSelector, self.labels),
  );
  if (selecting.length === 0) return true;
  const rules = selecting.flatMap(({ spec }) => (spec[direction.toLowerCase()] ?? []) as Rule[]);
  return rules.some(({ from, to, ports }) => {
    const peers = direction === "Ingress" ? from : to;
    return (
      (!peers || peers.some((peer) => matches(other, peer, self.namespace!))) &&
      (!ports || ports.some((one) => one.port === port))
    );
  });
}

/** Whether a pod's own policies admit somebody, whatever those of the other say. */
export function admits(policies: Resource[], from: Peer, to: Peer, port: number): boolean {
  return allows(policies, "Ingress", [to, from, port]);
}

/**
 * Whether the policies let one reach another's port, by the rules of networking.k8s.io/v1: a pod that
 * no policy selects may do all, one that is selected only what some policy allows, and both ends must
 * agree. Of pods in other namespaces no policy is known.
 */
export function mayReach(policies: Resource[], from: Peer, to: Peer, port: number): boolean {
  return allows(policies, "Egress", [from, to, port]) && admits(policies, from, to, port);
}
