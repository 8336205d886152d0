import { globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

test("every image has a version, and none is the latest", () => {
  const ours = /^emporium\/[a-z-]+:\$\{EMPORIUM_VERSION:-local\}$/;
  const theirs = /^(?!emporium\/)[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$/;
  const images = entries.map(([, { image }]) => image);
  expect(images.filter((image) => !ours.test(image) && !theirs.test(image))).toEqual([]);
  const froms = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from!);
  const pinned = /^(node:[\d.]+-bookworm-slim\$\{NODE_DIGEST\}|[a-z]+)$/;
  expect(froms.filter((from) => !pinned.test(from))).toEqual([]);
});

test("the stand-ins for a machine without a registry have the names of what they stand for", () => {
  const offline = parse(read("infra/docker/offline/compose.yaml"), { merge: true }) as {
    services: Record<string, { image: string }>;
  };
  const names = Object.values(offline.services).map(({ image }) => image);
  const used = new Set(entries.map(([, { image }]) => image));
  expect(names.filter((name) => !used.has(name) && !dockerfile.includes(`FROM ${name}$`))).toEqual(
    [],
  );
});

test("no process may more than it needs", () => {
  for (const [name, service] of entries) {
    const gives = ["setup", "certificates"].includes(name);
    expect({ name, cap_add: [], read_only: false, ...service }).toMatchObject({
      name,
      read_only: !writable.has(name),
      cap_drop: ["ALL"],
      cap_add: gives ? ["CHOWN"] : [],
      security_opt: ["no-new-privileges:true"],
      ...(service.restart !== "no" && {
        deploy: { resources: { limits: { memory: expect.any(String) } } },
      }),
    });
    expect(service.user === "root").toBe(gives);
  }
});

test("ports are open to this machine alone", () => {
  const ports = entries.flatMap(([, service]) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  expect(ports.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
});

test("no secret is written down", () => {
  const variables = entries.flatMap(([, { environment = {} }]) => Object.entries(environment));
  const secret = ([variable, value]: [string, string]) =>
    (/PASSWORD|SECRET|TOKEN|KEY/.test(variable) && !/_(FILE|URL)$/.test(variable)) ||
    /:\/\/[^/@\s]*:[^/@\s]*@/.test(value);
  expect(variables.filter(secret)).toEqual([]);
  const files = globSync("{compose.yaml,infra/{compose,docker}/{*,!(node_modules|dist)/**/*}}", {
    cwd: root,
  }).filter((file) => statSync(join(root, file)).isFile());
  expect(files).toContain("infra/compose/nats/nats.conf");
  const key = ["-----BEGIN", "PRIVATE"].join(" ");
  expect(files.filter((file) => read(file).includes(key))).toEqual([]);
});

test("NATS, Postgres and the issuer are reached by TLS alone, and NATS maps certificates to users", () => {
  const urls = entries.flatMap(([name, { environment = {} }]) =>
    Object.entries(environment)
      .filter(([variable]) => variable.endsWith("_URL"))
      .map(([variable, url]) => ({ name, variable, url })),
  );
  expect(urls.map(({ variable }) => variable)).toEqual(
    expect.arrayContaining(["NATS_URL", "DATABASE_URL", "OIDC_ISSUER_URL"]),
  );
  const encrypted = /^(tls:|https:|postgresql:.*[?&]sslmode=verify-full)/;
  expect(urls.filter(({ url }) => !encrypted.test(url))).toEqual([]);
  const nats = read("infra/compose/nats/nats.conf");
  expect(nats).toMatch(/^tls \{[^}]*verify_and_map: true[^}]*\}/m);
  expect(nats).toMatch(/^authorization \{[^}]*include "[^"]*users\.conf"[^}]*\}/m);
});

test("each container mounts the secrets of nobody else", () => {
  for (const [name, { volumes = [] }] of entries) {
    if (["setup", "certificates"].includes(name)) continue;
    const secrets = volumes.filter((volume) => volume.includes("-secrets:"));
    expect(secrets.length).toBeLessThanOrEqual(1);
    expect(secrets.filter((volume) => !volume.endsWith(":/run/emporium:ro"))).toEqual([]);
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
    const told = Object.entries(compose.services[name]!.environment ?? {}).map(
      ([variable, value]) => [
        variable,
        value
          .replaceAll("/run/emporium/tls", join(secrets, name))
          .replaceAll("/run/emporium", secrets)
          .replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1"),
      ],
    );
    const config = readers[name](Object.fromEntries(told));
    expect(config.listen.host).toBe("0.0.0.0");
    for (const [, value] of told) {
      const address = /^dns:\/\/\/([a-z]+):(\d+)$/.exec(value!);
      if (!address) continue;
      const [, server, port] = address;
      const listening = compose.services[server!]?.environment?.["GRPC_LISTEN_ADDR"];
      expect(listening).toBe(`0.0.0.0:${port}`);
    }
  });

  test.for(Object.keys(readers))("%s knows every variable that it is told", (name) => {
    const sources = [
      `services/${name}/src/config.ts`,
      "packages/service/src/service-config.ts",
      "packages/grpc/src/tls-files.ts",
    ]
      .map(read)
      .join("");
    const told = Object.keys(compose.services[name]!.environment ?? {});
    const unknown = told.filter((variable) => !sources.includes(`${variable}:`));
    expect(unknown.filter((variable) => !/^(OTEL|NODE)_/.test(variable))).toEqual([]);
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

test("k6 is told all that the load tests ask for, and its secret in a file", () => {
  const asked = [...read("load-tests/k6/settings.ts").matchAll(/told\("([A-Z_]+)"/g)].map(
    ([, variable]) => variable,
  );
  const told = Object.keys(compose.services["k6"]!.environment!);
  expect(asked.filter((variable) => !told.includes(variable!))).toEqual(["CLIENT_SECRET"]);
});

test("every volume is mounted by somebody", () => {
  const mounts = entries.flatMap(([, { volumes = [] }]) => volumes);
  const unused = Object.keys(compose.volumes).filter(
    (volume) => !mounts.some((mount) => mount.startsWith(`${volume}:`)),
  );
  expect(unused).toEqual([]);
});

test("Envoy knows every service of the contract, and calls it by its name in compose", () => {
  const envoy = read("infra/compose/envoy/envoy.yaml");
  const names = globSync("proto/emporium/*/v*/*_service.proto", { cwd: root }).map((file) => {
    const [, owner, version] = file.split("/").slice(1);
    const service = /^service (\w+)/m.exec(read(file))![1]!;
    return { owner: owner!, name: `emporium.${owner}.${version}.${service}` };
  });
  expect(names.length).toBeGreaterThan(2);
  const missing = names.filter(
    ({ owner, name }) =>
      !envoy.includes(`- ${name}\n`) ||
      !envoy.includes(`prefix: /${name}/ }`) ||
      !envoy.includes(`exact: "spiffe://emporium.example/${owner}"`),
  );
  expect(missing).toEqual([]);
});
