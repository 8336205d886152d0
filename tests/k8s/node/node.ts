import { execFile, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ControlPlane } from "../control-plane.js";
import { nodePrograms } from "./programs.js";

const run = promisify(execFile);

/** Of the node itself, and of what runs beside it, in a network of its own. */
const ADDRESS = "10.89.0.1";

const cgroups = "/sys/fs/cgroup";
const remembered = "/var/lib/cni/results";

/** What a kubelet sets for the whole machine. */
const tuned = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"];

/** A network of its own for a control plane and a node; gone when disposed. */
export async function makeNetwork(name: string): Promise<AsyncDisposable> {
  await run("ip", ["netns", "add", name]);
  const inside = (...words: string[]) => run("ip", ["-netns", name, ...words]);
  await inside("link", "set", "lo", "up");
  await inside("link", "add", "node0", "type", "bridge");
  for (const last of [1, 2, 11, 12, 13])
    await inside("address", "add", `10.89.0.${last}/24`, "dev", "node0");
  await inside("link", "set", "node0", "up");
  await run("ip", ["netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  return {
    [Symbol.asyncDispose]: async () => {
      await run("ip", ["netns", "delete", name]);
    },
  };
}

/** Makes the machine a node, in the control plane's network: containerd, kubelet, kube-proxy, CoreDNS. */
export async function joinNode(plane: ControlPlane, name: string): Promise<AsyncDisposable> {
  const before = tuned.map((file) => [file, readFileSync(join("/proc/sys", file))] as const);
  await startContainerd(plane);
  await makeGroups(name);
  const kubelet = await startKubelet(plane, name);
  plane.keep(join(nodePrograms, "kube-proxy"), [
    `--kubeconfig=${plane.kubeconfig}`,
    `--hostname-override=${name}`,
    "--cluster-cidr=10.88.0.0/16",
    "--conntrack-max-per-core=0",
    "--conntrack-tcp-timeout-established=0s",
    "--conntrack-tcp-timeout-close-wait=0s",
  ]);
  const zone = `kubernetes cluster.local {\n kubeconfig ${plane.kubeconfig}\n }`;
  await writeFile(join(plane.folder, "Corefile"), `. {\n bind ${ADDRESS}\n errors\n ${zone}\n}\n`);
  plane.keep(join(nodePrograms, "dns"), ["-conf", join(plane.folder, "Corefile")]);
  return {
    [Symbol.asyncDispose]: async () => {
      await removeNode(plane, name, kubelet);
      for (const [file, value] of before) await writeFile(join("/proc/sys", file), value);
    },
  };
}

async function startContainerd(plane: ControlPlane): Promise<void> {
  const at = (file: string) => join(plane.folder, file);
  const socket = at("containerd.sock");
  await mkdir(at("cni"));
  const bridge = {
    type: "bridge",
    bridge: "pods0",
    isGateway: true,
    hairpinMode: true,
    ipam: {
      type: "host-local",
      dataDir: at("addresses"),
      ranges: [[{ subnet: "10.88.0.0/16" }]],
      routes: [{ dst: "0.0.0.0/0" }],
    },
  };
  const network = { cniVersion: "1.0.0", name: "pods", plugins: [bridge] };
  await writeFile(at("cni/10-bridge.conflist"), JSON.stringify(network));
  await writeFile(
    at("containerd.toml"),
    `version = 2
root = "${at("containerd")}"
state = "${at("containerd-state")}"
[grpc]
address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/emporium/pause:local"
# Where the machine may not make a process less likely to be ended than it is itself.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${at("cni")}"
`,
  );
  plane.keep("/usr/bin/containerd", ["--config", at("containerd.toml")]);
  await plane.until("containerd answers", async () => existsSync(socket));
}

/** Control groups (v1) of the node's own, for its pods. */
async function makeGroups(name: string): Promise<void> {
  for (const hierarchy of readdirSync(cgroups)) {
    if (hierarchy === "unified") continue;
    await mkdir(join(cgroups, hierarchy, name), { recursive: true });
  }
  for (const file of ["cpuset.cpus", "cpuset.mems"])
    await writeFile(
      join(cgroups, "cpuset", name, file),
      readFileSync(join(cgroups, "cpuset", file)),
    );
}

async function startKubelet(plane: ControlPlane, name: string): Promise<ChildProcess> {
  const at = (file: string) => join(plane.folder, file);
  await writeFile(at("resolv.conf"), "");
  await writeFile(
    at("kubelet.json"),
    JSON.stringify({
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      address: ADDRESS,
      // Nobody is in this network but the node itself.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      containerRuntimeEndpoint: `unix://${at("containerd.sock")}`,
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${name}`,
      failCgroupV1: false,
      failSwapOn: false,
      clusterDNS: [ADDRESS],
      clusterDomain: "cluster.local",
      resolvConf: at("resolv.conf"),
      podLogsDir: at("logs"),
      evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%" },
    }),
  );
  return plane.keep(join(nodePrograms, "kubelet"), [
    `--config=${at("kubelet.json")}`,
    `--kubeconfig=${plane.kubeconfig}`,
    `--root-dir=${at("kubelet")}`,
    `--cert-dir=${at("kubelet-certificates")}`,
    `--hostname-override=${name}`,
    `--node-ip=${ADDRESS}`,
  ]);
}

/** Ends what the node runs, and takes its mounts and groups away. */
async function removeNode(plane: ControlPlane, name: string, kubelet: ChildProcess): Promise<void> {
  kubelet.kill("SIGKILL");
  const ctr = ["--address", join(plane.folder, "containerd.sock"), "--namespace", "k8s.io"];
  const { stdout } = await run("ctr", [...ctr, "tasks", "list", "--quiet"]);
  for (const task of stdout.split("\n").filter(Boolean))
    await run("ctr", [...ctr, "tasks", "delete", "--force", task]).catch(() => undefined);
  // What CNI plugins remember of the pods' networks, which names their places.
  for (const file of readdirSync(remembered).map((one) => join(remembered, one)))
    if (readFileSync(file, "utf8").includes(plane.folder)) await rm(file);
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${plane.folder}/`));
  for (const place of mounts.toReversed())
    await run("umount", ["--lazy", place]).catch(() => undefined);
  await run("sh", [
    "-c",
    `find ${cgroups}/*/${name} -depth -type d -exec rmdir {} + 2>/dev/null || true`,
  ]);
}
