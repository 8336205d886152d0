import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withNewKey } from "@emporium/database";
import { Authority } from "@emporium/local";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configFromEnvironment as checkoutConfig } from "../../services/checkout/src/config.js";
import { configFromEnvironment as inventoryConfig } from "../../services/inventory/src/config.js";
import { configFromEnvironment as ordersConfig } from "../../services/orders/src/config.js";
import { environmentOf, overlays, podsOf, render, type Resource, root } from "./overlays.js";

const readers = { inventory: inventoryConfig, orders: ordersConfig, checkout: checkoutConfig };
const services = Object.keys(readers) as (keyof typeof readers)[];

const named = (resources: Resource[], kind: string, name: string) =>
  resources.find((resource) => resource.kind === kind && resource.metadata.name === name);
const serviceNames = (service: string) =>
  ["v1", "v2"].flatMap((version) => {
    try {
      const folder = join(root, "proto/emporium", service, version);
      const file = { inventory: "inventory", orders: "order", checkout: "checkout" }[service];
      const text = readFileSync(join(folder, `${file}_service.proto`), "utf8");
      return [`emporium.${service}.${version}.${/^service (\w+)/m.exec(text)![1]}`];
    } catch {
      return [];
    }
  });

describe.for(overlays)("all of %s", (overlay) => {
  test("every image has a version, and none is the latest", async ({ skip }) => {
    const pods = podsOf(await render(overlay, skip));
    const images = pods.map(({ spec }) => spec.containers[0].image as string);
    const pinned = overlay === "kind" ? /^emporium\/[a-z-]+:local$/ : /^[a-z./-]+:\d+\.\d+\.\d+$/;
    expect(images.length).toBeGreaterThan(5);
    expect(images.filter((image) => !pinned.test(image))).toEqual([]);
  });

  test("no pod may more than it needs", async ({ skip }) => {
    const resources = await render(overlay, skip);
    expect(named(resources, "Namespace", "emporium")?.metadata.labels).toMatchObject({
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    for (const { name, spec } of podsOf(resources)) {
      expect({ name, ...spec }).toMatchObject({
        name,
        serviceAccountName: name,
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ["ALL"] },
            },
            resources: {
              requests: { cpu: expect.any(String), memory: expect.any(String) },
              limits: { cpu: expect.any(String), memory: expect.any(String) },
            },
          },
        ],
      });
      expect(spec.hostNetwork ?? spec.hostPID ?? spec.hostIPC).toBeUndefined();
      expect(named(resources, "ServiceAccount", name)?.metadata.name).toBe(name);
    }
  });

  test("secrets are named, and never written down", async ({ skip }) => {
    const resources = await render(overlay, skip);
    expect(resources.filter(({ kind }) => kind === "Secret")).toEqual([]);
    const made = resources
      .filter(({ kind }) => kind === "Certificate" || kind === "ExternalSecret")
      .map(({ spec }) => spec.secretName ?? spec.target.name);
    const script = readFileSync(join(root, "infra/k8s/kind.sh"), "utf8");
    const byScript = [...script.matchAll(/secret generic (\S+) /g)].map(([, name]) => name);
    const mounted = podsOf(resources).flatMap(({ spec }) =>
      (spec.volumes[0].projected.sources as { secret: { name: string } }[]).map(
        ({ secret }) => secret.name,
      ),
    );
    const known = new Set([...made, ...(overlay === "kind" ? byScript : [])]);
    expect(mounted.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe.for(overlays)("the services of %s", (overlay) => {
  test.for(services)("%s is told what it asks for", async (service, { skip }) => {
    const resources = await render(overlay, skip);
    const pod = podsOf(resources).find(({ name }) => name === service)!;
    const told = environmentOf(pod, resources);
    const inFiles = Object.entries(told).map(([variable, value]) => [
      variable,
      value
        .replaceAll("/run/emporium/tls", join(secrets, service))
        .replaceAll("/run/emporium", secrets),
    ]);
    const config = readers[service](Object.fromEntries(inFiles));
    expect(config.listen.host).toBe("0.0.0.0");
    expect(
      config.shutdownGraceMs / 1_000 + pod.spec.containers[0].lifecycle.preStop.sleep.seconds,
    ).toBeLessThan(pod.spec.terminationGracePeriodSeconds);
    const sources = [
      `services/${service}/src/config.ts`,
      "packages/service/src/service-config.ts",
      "packages/grpc/src/tls-files.ts",
    ]
      .map((file) => readFileSync(join(root, file), "utf8"))
      .join("");
    const unknown = Object.keys(told).filter((variable) => !sources.includes(`${variable}:`));
    expect(unknown.filter((variable) => !/^(OTEL_|NODE_|POD_NAME$)/.test(variable))).toEqual([]);
  });

  test.for(services)(
    "%s is found, asked how it is, and never gone at once",
    async (service, { skip }) => {
      const resources = await render(overlay, skip);
      const pod = podsOf(resources).find(({ name }) => name === service)!;
      const told = environmentOf(pod, resources);
      const [container] = pod.spec.containers;
      const port = Number(told["GRPC_LISTEN_ADDR"]!.split(":").at(-1));
      const health = Number(told["HEALTH_LISTEN_ADDR"]!.split(":").at(-1));
      expect(named(resources, "Service", service)?.spec).toMatchObject({
        clusterIP: "None",
        ports: [{ port, targetPort: "grpc" }],
      });
      expect(container.ports).toContainEqual({ name: "grpc", containerPort: port });
      expect(container).toMatchObject({
        startupProbe: { grpc: { port: health, service: "liveness" } },
        livenessProbe: { grpc: { port: health, service: "liveness" } },
        readinessProbe: { grpc: { port: health } },
      });
      expect(serviceNames(service)).toContain(container.readinessProbe.grpc.service);
      expect(pod.spec.topologySpreadConstraints).toHaveLength(2);
      expect(named(resources, "PodDisruptionBudget", service)?.spec.maxUnavailable).toBe(1);
      const { least } = scalerOf(service, resources);
      expect(least).toBeGreaterThan(1);
    },
  );

  test("every program has a certificate with its own name", async ({ skip }) => {
    const resources = await render(overlay, skip);
    for (const service of services)
      expect(named(resources, "Certificate", service)?.spec).toMatchObject({
        secretName: `${service}-tls`,
        commonName: service,
        uris: [`spiffe://emporium.example/${service}`],
        dnsNames: [service],
        issuerRef: { name: "emporium" },
      });
    const uris = resources.flatMap(({ kind, spec }) =>
      kind === "Certificate" ? (spec.uris ?? []) : [],
    );
    expect(new Set(uris).size).toBe(uris.length);
  });
});

describe.for(overlays)("Postgres of %s", (overlay) => {
  test.for(services)(
    "%s finds enough connections, however many there are of it",
    async (service, { skip }) => {
      const resources = await render(overlay, skip);
      const told = environmentOf(
        podsOf(resources).find(({ name }) => name === service)!,
        resources,
      );
      const { most } = scalerOf(service, resources);
      const { maxSurge } = named(resources, "Deployment", service)!.spec.strategy.rollingUpdate;
      const pool = Number(told["DATABASE_POOL_SIZE"] ?? 10);
      const each = pool + 1 + (service === "checkout" ? LEDGER_CONNECTIONS : 0);
      const cluster = named(resources, "Cluster", `${service}-postgres`)!;
      const { max_connections } = cluster.spec.postgresql.parameters;
      expect((most + maxSurge) * each).toBeLessThan(
        Number(max_connections) - OPERATORS_CONNECTIONS,
      );
    },
  );
});

/** Of the payment simulator in each process of checkout: a pool of five, and one to cancel. */
const LEDGER_CONNECTIONS = 6;
/** What others than the services need of a server: three that Postgres keeps back, and its operator. */
const OPERATORS_CONNECTIONS = 10;

/** How many there may be of a service, by the one autoscaler that it has. */
function scalerOf(service: string, resources: Resource[]): { least: number; most: number } {
  const scalers = resources.filter(
    ({ kind, spec }) =>
      ["HorizontalPodAutoscaler", "ScaledObject"].includes(kind) &&
      spec.scaleTargetRef.name === service,
  );
  expect(scalers).toHaveLength(1);
  const { spec } = scalers[0]!;
  return {
    least: spec.minReplicas ?? spec.minReplicaCount,
    most: spec.maxReplicas ?? spec.maxReplicaCount,
  };
}

let secrets: string;
beforeAll(async () => {
  secrets = mkdtempSync(join(tmpdir(), "emporium-secrets-"));
  const authority = await Authority.open(join(secrets, "authority"));
  for (const name of services) {
    const { certificate, privateKey } = await authority.issue(name);
    writeFileSync(join(secrets, `${name}.crt`), certificate);
    writeFileSync(join(secrets, `${name}.key`), privateKey);
  }
  writeFileSync(join(secrets, "ca.crt"), authority.certificate);
  writeFileSync(join(secrets, "data-keys.json"), JSON.stringify(withNewKey("one")));
});
afterAll(() => rmSync(secrets, { recursive: true }));
