import { getOption } from "@bufbuild/protobuf";
import { CheckoutService } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { access } from "@emporium/contracts/options/v1";
import { OrderService as OrderServiceV1 } from "@emporium/contracts/orders/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { expect, test } from "vitest";
import {
  environmentOf,
  type Overlay,
  overlays,
  podsOf,
  render,
  type Resource,
} from "./overlays.js";
import { admits, mayReach, type Peer } from "./reach.js";

const contract = {
  inventory: [InventoryService],
  orders: [OrderServiceV1, OrderService],
  checkout: [CheckoutService],
};
const services = Object.keys(contract) as (keyof typeof contract)[];

/** What there is beside our own pods: theirs in our namespace, and who is elsewhere. */
const others: Peer[] = [
  ...services.map((name) => pod(`${name}-postgres`, { "cnpg.io/cluster": `${name}-postgres` })),
  pod("nats", { "app.kubernetes.io/name": "nats" }),
  pod("stranger", {}),
  pod("dns", { "k8s-app": "kube-dns" }, "kube-system"),
  pod("operator", {}, "cnpg-system"),
  pod("gateway", { "gateway.envoyproxy.io/owning-gateway-name": "shop" }, "envoy-gateway-system"),
  pod("collector", { "app.kubernetes.io/name": "otel-collector" }, "observability"),
  pod("keda", {}, "keda"),
  pod("neighbour", { "app.kubernetes.io/name": "checkout" }, "elsewhere"),
  { name: "world", namespace: undefined, labels: {}, ip: "203.0.113.7" },
  { name: "metadata", namespace: undefined, labels: {}, ip: "169.254.169.254" },
];

function pod(name: string, labels: Record<string, string>, namespace = "emporium"): Peer {
  return { name, namespace, labels, ip: "10.1.2.3" };
}

const ports = [53, 443, 4222, 4318, 5432, 6222, 6443, 8000, 8222, 8444, 50050, 50051, 50052, 50053];

function edgesOf(resources: Resource[], may = mayReach): string[] {
  const policies = resources.filter(({ kind }) => kind === "NetworkPolicy");
  const peers = [...podsOf(resources).map(({ name, labels }) => pod(name, labels)), ...others];
  const edges = peers.flatMap((from) =>
    peers.flatMap((to) =>
      ports
        .filter(() => [from, to].some(({ namespace }) => namespace === "emporium"))
        .filter((port) => may(policies, from, to, port))
        .map((port) => `${from.name} -> ${to.name}:${port}`),
    ),
  );
  return [...new Set(edges)].toSorted();
}

/** Who calls whom: what the contract lets services do, and whom their configuration names. */
function callGraph(resources: Resource[]): string[] {
  const portOf = (name: string) =>
    resources.find(({ kind, metadata }) => kind === "Service" && metadata.name === name)!.spec
      .ports[0].port as number;
  const byContract = services.flatMap((service) =>
    contract[service].flatMap(({ methods }) =>
      methods.flatMap((method) =>
        getOption(method, access).callers.map((by) => `${by} -> ${service}:${portOf(service)}`),
      ),
    ),
  );
  const byConfiguration = podsOf(resources)
    .filter(({ name }) => services.some((service) => service === name))
    .flatMap((caller) =>
      Object.entries(environmentOf(caller, resources))
        .filter(([variable]) => /^[A-Z]+_ADDR$/.test(variable))
        .flatMap(([, value]) => /^dns:\/\/\/(.*)/.exec(value)?.slice(1) ?? [])
        .map((server) => `${caller.name} -> ${server}`),
    );
  // A service that the contract lets in, and that knows no address, would be a mistake of ours.
  expect(byConfiguration).toEqual(expect.arrayContaining(byContract));
  return byConfiguration;
}

/** Servers that a pod's URLs name, as in `postgresql://orders@orders-postgres-rw:5432/orders`. */
function serversOf(resources: Resource[]): string[] {
  return podsOf(resources).flatMap((client) => {
    const environment = environmentOf(client, resources);
    return ["DATABASE_URL", "NATS_URL", "OIDC_ISSUER_URL"].flatMap((variable) => {
      // The seed has the services' settings, and uses the issuer's alone.
      if (!environment[variable] || (variable === "NATS_URL" && client.name === "seed")) return [];
      const { hostname, port } = new URL(environment[variable]);
      const server = hostname.includes(".") ? "world" : hostname.replace(/-rw$/, "");
      return [`${client.name} -> ${server}:${port || 443}`];
    });
  });
}

/** What else there is in an overlay, one by one. */
const further: Record<Overlay, string[]> = {
  kind: ["seed -> inventory:50052"],
  production: [
    "gateway -> checkout:50053",
    "gateway -> inventory:50052",
    "gateway -> orders:50051",
    "keda -> nats:8222",
    ...services.map((service) => `${service} -> collector:4318`),
  ],
};

/** How Postgres and NATS, each by itself, and with those who look after them, are held together. */
const insides = [
  "nats -> nats:6222",
  ...services.flatMap((service) => [
    `${service}-postgres -> ${service}-postgres:5432`,
    `operator -> ${service}-postgres:5432`,
    `operator -> ${service}-postgres:8000`,
    // The API server and the store of backups, whose addresses nobody knows beforehand.
    ...[
      "world",
      "metadata",
      "dns",
      "operator",
      "gateway",
      "collector",
      "keda",
      "neighbour",
    ].flatMap((outside) => [443, 6443].map((port) => `${service}-postgres -> ${outside}:${port}`)),
  ]),
];

test.for(overlays)(
  "%s lets pass what the call graph has, and nothing else",
  async (overlay, { skip }) => {
    const resources = await render(overlay, skip);
    const inside = [
      ...podsOf(resources),
      ...others.filter(({ namespace }) => namespace === "emporium"),
    ];
    const expected = [
      ...inside.map(({ name }) => `${name} -> dns:53`),
      ...callGraph(resources),
      ...serversOf(resources),
      ...insides,
      ...further[overlay],
    ];
    expect(edgesOf(resources)).toEqual([...new Set(expected)].toSorted());
    // Nobody relies on the good will of the other end: what is let in is no more than that.
    const within = new Set(inside.map(({ name }) => name));
    const letIn = edgesOf(resources, admits).filter((edge) =>
      within.has(/-> (.*):/.exec(edge)![1]!),
    );
    expect(letIn.filter((edge) => !expected.includes(edge))).toEqual([]);
  },
);
