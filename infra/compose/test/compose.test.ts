import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withNewKey } from "@emporium/database";
import { Authority } from "@emporium/local";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { configFromEnvironment as checkoutConfig } from "../../../services/checkout/src/config.js";
import { configFromEnvironment as inventoryConfig } from "../../../services/inventory/src/config.js";
import { configFromEnvironment as ordersConfig } from "../../../services/orders/src/config.js";

/** What can be said of the images and of compose.yaml without an engine. */
const root = join(import.meta.dirname, "../../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface Service {
  image: string;
  build?: { target: string; args: Record<string, string> };
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  profiles?: string[];
  read_only?: boolean;
  user?: string;
  cap_drop?: string[];
  cap_add?: string[];
  security_opt?: string[];
  restart?: string;
  healthcheck?: object;
  deploy?: { resources?: { limits?: { memory?: string; cpus?: string; pids?: number } } };
  depends_on?: Record<string, { condition: string }>;
}
const compose = parse(read("compose.yaml"), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const entries = Object.entries(compose.services);
const dockerfile = read("infra/docker/Dockerfile");

/** Grafana's own image of everything keeps its stores on its root; it is for looking at only. */
const writable = new Set(["observability"]);

/** Oldest Node 24 without a known hole: see the security releases of nodejs.org. */
const OLDEST_NODE = [24, 22, 1] as const;

test("images run a Node without known holes", () => {
  const bases = [...dockerfile.matchAll(/^FROM node:(\d+)\.(\d+)\.(\d+)-bookworm-slim/gm)];
  expect(bases).toHaveLength(1);
  const found = bases[0]!.slice(1, 4).map(Number);
  const at = OLDEST_NODE.findIndex((part, index) => found[index] !== part);
  expect(at < 0 || found[at]! > OLDEST_NODE[at]!, found.join(".")).toBe(true);
});

test("every image has a version, and none is the latest", () => {
  for (const [name, { image }] of entries)
    expect(image, name).toMatch(
      image.startsWith("emporium/") ? /:\$\{EMPORIUM_VERSION:-local\}$/ : /:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$/,
    );
  const froms = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from!);
  for (const from of froms) expect(from).toMatch(/^(node:[\d.]+-bookworm-slim\$\{NODE_DIGEST\}|[a-z]+)$/);
});

test("the stand-ins for a machine without a registry have the names of what they stand for", () => {
  const offline = parse(read("infra/docker/offline/compose.yaml"), { merge: true }) as {
    services: Record<string, { image: string }>;
  };
  const used = new Set(entries.map(([, { image }]) => image));
  for (const [name, { image }] of Object.entries(offline.services))
    expect(name === "node" ? dockerfile.includes(`FROM ${image}$`) : used.has(image), image).toBe(true);
});

test("no process may more than it needs", () => {
  for (const [name, service] of entries) {
    expect.soft(service.read_only ?? false, name).toBe(!writable.has(name));
    expect.soft(service.cap_drop, name).toEqual(["ALL"]);
    expect.soft(service.security_opt, name).toEqual(["no-new-privileges:true"]);
    if (service.restart === "unless-stopped")
      expect.soft(service.deploy?.resources?.limits, name).toMatchObject({ memory: expect.any(String) });
    const privileged = ["setup", "certificates"].includes(name);
    expect.soft(service.cap_add ?? [], name).toEqual(privileged ? ["CHOWN"] : []);
    if (service.user === "root") expect.soft(privileged, name).toBe(true);
  }
});

test("ports are open to this machine alone", () => {
  for (const [name, { ports = [] }] of entries)
    for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/);
});

test("no secret is written down", () => {
  for (const [name, { environment = {} }] of entries)
    for (const [variable, value] of Object.entries(environment)) {
      if (/PASSWORD|SECRET|TOKEN|KEY/.test(variable)) expect(`${name} ${variable}`).toMatch(/_FILE$/);
      expect(value, `${name} ${variable}`).not.toMatch(/:\/\/[^/@\s]*:[^/@\s]*@/);
    }
  for (const file of globSync("{compose.yaml,infra/{compose,docker}/**/*}", { cwd: root }))
    if (/\.(ya?ml|conf|sh|mjs|ts)$|Dockerfile$/.test(file) && !file.includes("node_modules"))
      expect(read(file).includes(["-----BEGIN", "PRIVATE"].join(" ")), file).toBe(false);
});

test("each container mounts the secrets of nobody else", () => {
  for (const [name, { volumes = [] }] of entries) {
    if (["setup", "certificates"].includes(name)) continue;
    const secrets = volumes.filter((volume) => volume.includes("-secrets:"));
    expect(secrets.length, name).toBeLessThanOrEqual(1);
    for (const volume of secrets) expect(volume, name).toMatch(/:\/run\/emporium:ro$/);
  }
});

describe("the services are told what they ask for", () => {
  const secrets = mkdtempSync(join(tmpdir(), "emporium-secrets-"));
  const readers = { inventory: inventoryConfig, orders: ordersConfig, checkout: checkoutConfig };

  beforeAll(async () => {
    const authority = await Authority.open(join(secrets, "authority"));
    for (const name of Object.keys(readers)) {
      const { certificate, privateKey } = await authority.issue(name);
      writeFileSync(join(secrets, `${name}.crt`), certificate);
      writeFileSync(join(secrets, `${name}.key`), privateKey);
    }
    writeFileSync(join(secrets, "ca.crt"), authority.certificate);
    writeFileSync(join(secrets, "data-keys.json"), JSON.stringify(withNewKey("one")));
  });

  afterAll(() => rmSync(secrets, { recursive: true }));

  test.for(Object.keys(readers) as (keyof typeof readers)[])("%s", (name) => {
    const told = Object.entries(compose.services[name]!.environment ?? {}).map(([variable, value]) => [
      variable,
      value
        .replaceAll("/run/emporium/tls", join(secrets, name))
        .replaceAll("/run/emporium", secrets)
        .replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1"),
    ]);
    const config = readers[name](Object.fromEntries(told));
    expect(config.listen.host).toBe("0.0.0.0");
    for (const [variable, value] of told) {
      const address = /^dns:\/\/\/([a-z]+):(\d+)$/.exec(value!);
      if (!address) continue;
      const [, server, port] = address;
      expect(compose.services[server!]?.environment?.["GRPC_LISTEN_ADDR"], variable).toBe(`0.0.0.0:${port}`);
    }
  });

  test.for(Object.keys(readers))("%s knows every variable that it is told", (name) => {
    const sources = read(`services/${name}/src/config.ts`) + read("packages/grpc/src/tls-files.ts");
    for (const variable of Object.keys(compose.services[name]!.environment ?? {}))
      if (!variable.startsWith("OTEL_")) expect(sources, variable).toContain(`${variable}:`);
  });
});

test("the second and third replica of a service differ from the first in nothing that matters", () => {
  for (const name of Object.keys({ inventory: 0, orders: 0, checkout: 0 })) {
    const { image, environment, volumes } = compose.services[name]!;
    expect(compose.services[`${name}-more`]).toMatchObject({
      image,
      environment,
      volumes,
      profiles: ["scaled"],
      ports: [],
      networks: { default: { aliases: [name] } },
      deploy: { replicas: 2 },
    });
  }
});

test("nothing is there that is not used", () => {
  const text = read("compose.yaml");
  for (const volume of Object.keys(compose.volumes))
    expect(text.split(`- ${volume}:`).length + text.split(`[${volume}:`).length, volume).toBeGreaterThan(2);
});
