import { createHmac } from "node:crypto";
import { Client } from "pg";

/**
 * The databases of a server, each with a role of the same name that owns it and alone may connect to
 * it. A role's password follows from the superuser's, so that whoever knows that finds every address.
 *
 * @example
 * const url = await new Databases(15432, password, caFile).create("orders");
 */
export class Databases {
  readonly port: number;
  /** Of the superuser `postgres`. */
  readonly password: string;
  /** The authority that has signed the server's certificate, PEM. */
  readonly caFile: string;

  constructor(port: number, password: string, caFile: string) {
    this.port = port;
    this.password = password;
    this.caFile = caFile;
  }

  /** Address of a database that is there or will be. */
  url(name: string): string {
    const tls = new URLSearchParams({ sslmode: "verify-full", sslrootcert: this.caFile });
    const place = `127.0.0.1:${this.port}/${name}?${tls.toString()}`;
    return `postgresql://${name}:${this.#passwordOf(name)}@${place}`;
  }

  /**
   * Makes a database unless it exists; returns its address. Names are of lower-case letters, digits
   * and `_`.
   */
  async create(name: string): Promise<string> {
    if (!/^[a-z][a-z0-9_]{0,62}$/.test(name)) throw new Error(`Not a database name: ${name}`);
    const admin = new Client({ connectionString: this.url("postgres") });
    await admin.connect();
    try {
      const { rows } = await admin.query<{ role: boolean; database: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
                EXISTS (SELECT FROM pg_database WHERE datname = $1) AS database`,
        [name],
      );
      // A name of the pattern above needs no escaping, and neither does base64url.
      if (!rows[0]?.role)
        await admin.query(`CREATE ROLE "${name}" LOGIN PASSWORD '${this.#passwordOf(name)}'`);
      if (!rows[0]?.database) await admin.query(`CREATE DATABASE "${name}" OWNER "${name}"`);
      await admin.query(`REVOKE CONNECT, TEMPORARY ON DATABASE "${name}" FROM PUBLIC`);
    } finally {
      await admin.end();
    }
    return this.url(name);
  }

  #passwordOf(role: string): string {
    return role === "postgres"
      ? this.password
      : createHmac("sha256", this.password).update(role).digest("base64url");
  }
}
