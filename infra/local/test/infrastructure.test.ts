import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Client } from "pg";
import { afterEach, expect, test } from "vitest";
import { bootInfrastructure } from "../src/infrastructure.js";
import { freePort } from "../src/ports.js";
import { reachablePlace } from "../src/postgres/account.js";
import { testInfrastructure } from "../src/test-infrastructure.js";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function makeFolder(mode = 0o711): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "emporium-infrastructure-"));
  folders.push(folder);
  // Where root runs the tests, Postgres runs as another user.
  await chmod(folder, mode);
  return folder;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test("a database belongs to a role of its own, and no other role gets in", async () => {
  const { databases, freshDatabase } = await testInfrastructure();
  const [orders, inventory] = [await freshDatabase("orders"), await freshDatabase("inventory")];
  const name = new URL(orders).pathname.slice(1);
  expect(await query(orders, "SELECT current_user AS me")).toEqual([{ me: name }]);
  expect(await databases.create(name)).toBe(orders);

  const other = new URL(inventory);
  other.pathname = name;
  await expect(query(other.href, "SELECT 1")).rejects.toThrow(`permission denied for database`);
});

test.each([
  ["a file", async (folder: string) => writeFile(join(folder, "thesis.txt"), "ten years")],
  ["a folder called like one of ours", async (folder: string) => mkdir(join(folder, "postgres"))],
  ["a hidden file", async (folder: string) => writeFile(join(folder, ".profile"), "")],
])("a folder with %s that is not a shop's is not emptied", async (_, fill) => {
  const directory = await makeFolder();
  await fill(directory);
  const before = await readdir(directory);
  await expect(bootInfrastructure({ directory, fresh: true })).rejects.toThrow("is not emptied");
  expect(await readdir(directory)).toEqual(before);
});

test(
  "what is stored survives the servers, and a fresh start empties it",
  { timeout: 60_000 },
  async () => {
    const directory = await makeFolder();
    const boot = (fresh: boolean) => bootInfrastructure({ directory, durable: !fresh, fresh });
    {
      await using infrastructure = await boot(false);
      const { postgres, nats, certificates } = infrastructure;
      const tls = await certificates.filesOf("local");
      const url = await postgres.databases.create("orders");
      await query(url, "CREATE TABLE kept AS SELECT 42 AS answer");
      await using connection = await closing(connect({ servers: nats.url, tls }));
      await (
        await jetstreamManager(connection.nats)
      ).streams.add({ name: "KEPT", subjects: ["kept"] });
      await jetstream(connection.nats).publish("kept", "42");

      await Promise.all([postgres.stop(), nats.stop()]);
      await expect(query(url, "SELECT 1")).rejects.toThrow(/ECONNREFUSED/);
      await Promise.all([postgres.start(), nats.start()]);
      expect(await query(url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
    }
    {
      await using infrastructure = await boot(false);
      const { postgres, nats, certificates } = infrastructure;
      const tls = await certificates.filesOf("local");
      const url = postgres.databases.url("orders");
      expect(await query(url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
      await using connection = await closing(connect({ servers: nats.url, tls }));
      const manager = await jetstreamManager(connection.nats);
      expect((await manager.streams.getMessage("KEPT", { seq: 1 }))?.string()).toBe("42");
    }
    {
      await using infrastructure = await boot(true);
      const { databases } = infrastructure.postgres;
      const url = await databases.create("orders");
      expect(await query(url, "SELECT to_regclass('kept') AS kept")).toEqual([{ kept: null }]);
    }
  },
);

test("a temporary infrastructure leaves nothing behind", async () => {
  const infrastructure = await bootInfrastructure({ durable: false });
  expect(await readdir(infrastructure.directory)).toContain("postgres");
  await infrastructure[Symbol.asyncDispose]();
  await expect(readdir(infrastructure.directory)).rejects.toThrow(/ENOENT/);
  const url = new URL(infrastructure.postgres.databases.url("postgres"));
  // The certificates are gone too.
  url.search = "";
  await expect(query(url.href, "SELECT 1")).rejects.toThrow(/ECONNREFUSED/);
});

test("a port that is taken is named with the setting that changes it", async () => {
  const port = await freePort();
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  await expect(bootInfrastructure({ ports: { nats: port } })).rejects.toThrow(
    `Port ${port} of nats is taken; set NATS_PORT to use another`,
  );
  server.close();
});

test("what another user cannot reach is put elsewhere, and found there again", async () => {
  const account = { uid: 65534, gid: 65534 };
  const open = join(await makeFolder(0o711), "postgres");
  expect(await reachablePlace(open, account)).toBe(open);

  const closed = join(await makeFolder(0o700), "postgres");
  expect(await reachablePlace(closed)).toBe(closed);
  const place = await reachablePlace(closed, account);
  folders.push(join(place, ".."));
  await mkdir(place);
  expect(place).toMatch(/^\/var\/tmp\/emporium-/);
  expect(await reachablePlace(closed, account)).toBe(place);
});

async function closing(opening: ReturnType<typeof connect>) {
  const nats = await opening;
  return { nats, [Symbol.asyncDispose]: () => nats.close() };
}
