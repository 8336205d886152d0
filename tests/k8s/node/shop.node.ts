import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ControlPlane } from "../control-plane.js";
import { cloudNativePg } from "../custom-resources.js";
import { definitions } from "../programs.js";
import { makeImages } from "./images.js";
import { joinNode, makeNetwork } from "./node.js";
import { Operators } from "./operators.js";

const run = promisify(execFile);
const services = ["inventory", "orders", "checkout"];

type Command = (...words: string[]) => Promise<unknown>;

/** Keys and the issuer's settings, as kind.sh makes them. */
async function makeKeys(plane: ControlPlane, ctr: Command, inShop: Command): Promise<void> {
  const secrets = join(plane.folder, "secrets");
  const owners = services.map((service) => `${service}-owner`);
  for (const place of [
    "setup",
    "postgres",
    "nats",
    "gateway",
    "issuer",
    "delivery",
    "load-test",
  ].concat(services, owners))
    await mkdir(join(secrets, place), { recursive: true });
  await mkdir(join(plane.folder, "nats-data"));
  const mount = (from: string, to: string) => [
    "--mount",
    `type=bind,src=${from},dst=${to},options=rbind:rw`,
  ];
  await ctr(
    "run",
    "--rm",
    ...mount(secrets, "/secrets"),
    ...mount(join(plane.folder, "nats-data"), "/data/nats"),
    "docker.io/emporium/setup-as-root:local",
    "setup",
    "node",
    "infra/compose/dist/setup.js",
  );
  await plane.kubectl("apply", "--server-side", "--filename", "infra/k8s/base/namespace.yaml");
  const secret = (secretName: string, folder: string, ...files: string[]) =>
    inShop(
      "create",
      "secret",
      "generic",
      secretName,
      ...files.map((file) => `--from-file=${join(secrets, folder, file)}`),
    );
  await secret("orders-keys", "orders", "oidc.key", "data-keys.json");
  await secret("checkout-keys", "checkout", "oidc.key", "data-keys.json");
  await secret("delivery-keys", "delivery", "secrets.json");
  await secret("issuer-settings", "issuer", "settings.json", "signing-keys.json");
}

test("the shop of the overlay kind opens, and is replaced, on a real node", async () => {
  const name = `emporium-${process.pid}`;
  await using _network = await makeNetwork(name);
  await using plane = await ControlPlane.start(name);
  const well = async (...words: string[]) => {
    const { code, stdout, stderr } = await plane.kubectl(...words);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  const inShop = (...words: string[]) => well("--namespace", "emporium", ...words);
  await well("create", "--validate=false", "--filename", definitions);
  await plane.kubectlWith(
    { apiVersion: "v1", kind: "List", items: cloudNativePg },
    "create",
    "--validate=false",
  );
  await using _node = await joinNode(plane, name);
  const ctr = (...words: string[]) =>
    run("ctr", [
      "--address",
      join(plane.folder, "containerd.sock"),
      "--namespace",
      "k8s.io",
      ...words,
    ]);
  const { stdout: kubernetes } = await run("go", [
    "list",
    "-C",
    "infra/k8s/node",
    "-f",
    "{{.Dir}}",
    "-m",
    "k8s.io/kubernetes",
  ]);
  const pause = join(kubernetes.trim(), "build/pause/linux/pause.c");
  for (const archive of await makeImages(join(plane.folder, "images"), pause))
    await ctr("images", "import", archive);
  await well("wait", "--for=condition=Ready", `node/${name}`, "--timeout=120s");
  // Which the controller that was left out would take away.
  await well("taint", "nodes", name, "node.kubernetes.io/not-ready-");

  await makeKeys(plane, ctr, inShop);

  await plane.standIn("helm", "#!/bin/sh\n");
  const operators = new Operators(plane);
  const done = new AbortController();
  const working = (async () => {
    while (!done.signal.aborted) {
      await operators.look();
      await sleep(500);
    }
  })();
  const deploying = plane.run("infra/k8s/deploy.sh", ["kind", "one.yaml"]);
  const { code, stderr } = (await Promise.race([deploying, working])) ?? (await deploying);
  done.abort();
  await working;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  await inShop("wait", "--for=condition=complete", "job/seed", "--timeout=300s");

  await inShop("rollout", "restart", "deployment", ...services);
  for (const service of services)
    await inShop("rollout", "status", `deployment/${service}`, "--timeout=300s");
  const ready = await inShop(
    "get",
    "pods",
    "--selector",
    "app.kubernetes.io/component=service",
    "--field-selector",
    "status.phase=Running",
    "--output",
    "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
  );
  expect(ready.split(" ").length).toBeGreaterThanOrEqual(services.length * 2);
  expect(new Set(ready.split(" "))).toEqual(new Set(["0"]));
});
