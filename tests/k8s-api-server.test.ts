import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { ControlPlane, type Said } from "./k8s/control-plane.js";
import { cloudNativePg, modules } from "./k8s/custom-resources.js";
import { overlays, type Resource, root } from "./k8s/overlays.js";
import { definitions, missing, programs } from "./k8s/programs.js";

// `npm run test:k8s` builds what this needs; without it, all of it is skipped.

const services = ["inventory", "orders", "checkout"];
const nodes = ["node-1", "node-2", "node-3"].map((name, index) => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name,
    labels: { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": `zone-${index + 1}` },
  },
  status: {
    capacity: { cpu: "8", memory: "32Gi", pods: "110" },
    allocatable: { cpu: "8", memory: "32Gi", pods: "110" },
    conditions: [{ type: "Ready", status: "True" }],
  },
}));

function well({ code, stderr }: Said): void {
  if (code !== 0) throw new Error(stderr);
}

interface Running extends Resource {
  metadata: Resource["metadata"] & { deletionTimestamp?: string; labels: Record<string, string> };
  status: { phase?: string; conditions?: { type: string; status: string }[] };
}

describe.skipIf(missing).for(overlays)("an API server and %s", { timeout: 600_000 }, (overlay) => {
  let plane: ControlPlane;
  const folder = join("infra/k8s/overlays", overlay);
  const inShop = (...words: string[]) => plane.kubectl("--namespace", "emporium", ...words);
  const list = async <T>(kind: string, ...words: string[]) =>
    (JSON.parse((await inShop("get", kind, "--output", "json", ...words)).stdout) as { items: T[] })
      .items;
  const podsOf = (name: string) =>
    list<Running>("pods", "--selector", `app.kubernetes.io/name=${name}`);

  beforeAll(async () => {
    plane = await ControlPlane.start();
    well(await plane.kubectl("create", "--validate=false", "--filename", definitions));
    const items = { apiVersion: "v1", kind: "List", items: [...cloudNativePg, ...nodes] };
    well(await plane.kubectlWith(items, "create", "--validate=false"));
    // Which a node's controller would take away once the node is well.
    await plane.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-");
    const wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=300s"];
    well(await plane.kubectl(...wait));
    const namespace = "infra/k8s/base/namespace.yaml";
    well(await plane.kubectl("apply", "--server-side", "--filename", namespace));
  }, 600_000);
  afterAll(() => plane?.[Symbol.asyncDispose](), 60_000);

  /** Does what operators and kubelets would do, and nothing that the control plane does itself. */
  async function playNodes(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const all = await list<Running>("clusters.postgresql.cnpg.io,pods");
      const clusters = all.filter(({ kind }) => kind === "Cluster");
      const here = all.filter(({ spec }) => spec.nodeName);
      const going = here.filter(({ metadata }) => metadata.deletionTimestamp);
      const isNew = ({ status }: Running) => (status?.phase ?? "Pending") === "Pending";
      const changed = [...clusters, ...here].filter((one) => isNew(one) && !going.includes(one));
      for (const one of changed) {
        const ends = one.kind === "Pod" && one.spec.restartPolicy !== "Always";
        const conditions = [{ type: "Ready", status: "True" }];
        one.status = {
          ...one.status,
          phase: ends ? "Succeeded" : "Running",
          conditions: [...(one.status?.conditions ?? []), ...(ends ? [] : conditions)],
        };
      }
      const items = { apiVersion: "v1", kind: "List", items: changed };
      if (changed.length > 0) await plane.kubectlWith(items, "replace", "--subresource=status");
      for (const { metadata } of going)
        await inShop("delete", "pod", metadata.name, "--force", "--grace-period=0");
      await sleep(500);
    }
  }

  async function withNodes<T>(during: () => Promise<T>): Promise<T> {
    const done = new AbortController();
    const played = playNodes(done.signal);
    try {
      return await during();
    } finally {
      done.abort();
      await played;
    }
  }

  test("every object is taken as it is, and nothing in it is warned about", async () => {
    const { stdout: rendered } = await plane.kubectl("kustomize", folder);
    const dryRun = ["apply", "--server-side", "--dry-run=server"];
    const { code, stdout, stderr } = await plane.kubectlWith(rendered, ...dryRun);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const taken = stdout.trim().split("\n");
    expect(taken).toHaveLength(parseAllDocuments(rendered).length);
    expect(taken.filter((line) => !line.endsWith("serverside-applied (server dry run)"))).toEqual(
      [],
    );
  });

  test("operators.sh and deploy.sh bring one release, and the next", async () => {
    await plane.standIn("helm", '#!/bin/sh\necho "helm $*"\n');
    const wanted = ["keda", "external-secrets", "gateway"];
    const operators = await plane.run("infra/k8s/operators.sh", wanted);
    well(operators);
    expect(operators.stdout.match(/^helm upgrade --install .* --version v?[\d.]+/gm)).toHaveLength(
      5,
    );
    for (const release of ["first", "second"]) {
      const { code, stdout, stderr } = await withNodes(() =>
        plane.run("infra/k8s/deploy.sh", [overlay]),
      );
      // kubectl tells, as information, when a watch was cut off that it then opens again.
      const said = stderr.replaceAll(/^I\d{4} .*\n/gm, "");
      expect({ release, code, said }).toEqual({ release, code: 0, said: "" });
      expect(stdout).toMatch(/helm upgrade --install nats nats .* --version \d+\.\d+\.\d+ /);
      for (const name of services) {
        expect(stdout).toContain(`job.batch/${name}-migrations condition met`);
        expect(stdout).toContain(`deployment "${name}" successfully rolled out`);
      }
    }
    const pods = await list<Running>("pods");
    expect(pods.map(({ metadata }) => metadata.labels["app.kubernetes.io/name"])).toEqual(
      expect.arrayContaining(services),
    );
  });

  test("what the overlay must not have is refused", async () => {
    const [pod] = await podsOf("orders");
    const { spec } = structuredClone(pod!);
    const bare = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "emporium" },
      spec: { ...spec, nodeName: undefined },
    });
    const same = bare("same");
    expect(await plane.kubectlWith(same, "create", "--dry-run=server")).toMatchObject({ code: 0 });

    const root = bare("root");
    root.spec = structuredClone(root.spec);
    root.spec.containers[0].securityContext.allowPrivilegeEscalation = true;
    root.spec.securityContext.runAsNonRoot = false;
    const refused = await plane.kubectlWith(root, "create", "--dry-run=server");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/violates PodSecurity "restricted:latest": allowPrivilegeEscal/);
    expect(refused.stderr).toMatch(/runAsNonRoot != true/);

    const misspelled = bare("misspelled");
    misspelled.spec = { ...spec, containers: [{ ...spec.containers[0], readinesProbe: {} }] };
    const unknown = await plane.kubectlWith(misspelled, "create", "--dry-run=server");
    expect(unknown.stderr).toContain('unknown field "spec.containers[0].readinesProbe"');

    const [certificate] = await list<Resource>("certificates.cert-manager.io");
    certificate!.metadata = { name: "weak", namespace: "emporium" };
    certificate!.spec.privateKey.algorithm = "DSA";
    const weak = await plane.kubectlWith(certificate!, "create", "--dry-run=server");
    expect(weak.stderr).toContain('spec.privateKey.algorithm: Unsupported value: "DSA"');
  });

  test("a node is drained with one pod of a service away at a time", async () => {
    const serving = async () =>
      (await podsOf("orders")).filter(
        ({ metadata, status }) => !metadata.deletionTimestamp && status.phase === "Running",
      );
    // The autoscaler brings the second.
    await withNodes(() => plane.until("two of orders", async () => (await serving()).length > 1));
    const [first, second] = await serving();
    const evict = (pod: Running) =>
      plane.run(
        join(programs, "kubectl"),
        [
          "create",
          "--raw",
          `/api/v1/namespaces/emporium/pods/${pod.metadata.name}/eviction`,
          "--filename",
          "-",
        ],
        JSON.stringify({
          apiVersion: "policy/v1",
          kind: "Eviction",
          metadata: { name: pod.metadata.name, namespace: "emporium" },
        }),
      );
    expect(await evict(first!)).toMatchObject({ code: 0 });
    const { code, stderr } = await evict(second!);
    expect(code).toBe(1);
    expect(stderr).toContain("would violate the pod's disruption budget");

    const place = second!.spec.nodeName as string;
    const drain = ["drain", place, "--ignore-daemonsets", "--delete-emptydir-data"];
    const drained = await withNodes(() => plane.kubectl(...drain, "--timeout=300s"));
    expect(drained).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`node/${place} drained`),
    });
    const left = await list<Running>("pods", "--field-selector", `spec.nodeName=${place}`);
    expect(left.filter(({ spec }) => spec.restartPolicy === "Always")).toEqual([]);
    expect(await plane.kubectl("uncordon", place)).toMatchObject({ code: 0 });
  });

  test("a release is rolled back, a service scaled, and the shop stopped", async () => {
    const [deployment] = await list<Resource>(
      "deployments",
      "--field-selector=metadata.name=orders",
    );
    well(await inShop("set", "env", "deployment/orders", "LOG_LEVEL=debug"));
    await withNodes(async () => {
      well(await inShop("rollout", "status", "deployment/orders", "--timeout=300s"));
      well(await inShop("rollout", "undo", "deployment/orders"));
      well(await inShop("rollout", "status", "deployment/orders", "--timeout=300s"));
    });
    const after = await list<Resource>("deployments", "--field-selector=metadata.name=orders");
    expect(after[0]!.spec.template).toEqual(deployment!.spec.template);

    const more = '{"spec":{"minReplicas":6,"maxReplicas":10}}';
    well(await inShop("patch", "hpa", "checkout", "--type", "merge", "--patch", more));
    await plane.until("six of checkout", async () => (await podsOf("checkout")).length === 6);

    await withNodes(async () => {
      well(await inShop("scale", "deployment", ...services, "--replicas", "0"));
      const gone = ["--selector", "app.kubernetes.io/component=service", "--timeout=300s"];
      well(await inShop("wait", "--for=delete", "pod", ...gone));
    });
  });
});

test("operators.sh installs the versions whose definitions were tried", () => {
  const script = readFileSync(join(root, "infra/k8s/operators.sh"), "utf8");
  const named = Object.keys(modules).map((module) => /([a-z-]+)(?:\/v2)?@v([\d.]+)$/.exec(module)!);
  for (const [, name, version] of named)
    if (name !== "gateway-api" && name !== "external-secrets")
      expect(script).toMatch(new RegExp(`${name}.*v?${version!.replaceAll(".", "\\.")}`));
});
