import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Certificates } from "../src/certificates/certificates.js";
import { bootInfrastructure, type Infrastructure } from "../src/infrastructure.js";

/** What a service can do to others with the credentials that it has. */
const stack = new AsyncDisposableStack();
let infrastructure: Infrastructure;

beforeAll(async () => {
  infrastructure = stack.use(await bootInfrastructure({ durable: false }));
  const management = await jetstreamManager((await as("local")).connection);
  await management.streams.add({ name: "EMPORIUM_INVENTORY", subjects: ["emporium.inventory.>"] });
}, 30_000);
afterAll(() => stack.disposeAsync());

/** Connects to NATS under a name, and collects what the server forbids. */
async function as(name: string) {
  const { nats, certificates } = infrastructure;
  const connection = await connect({
    servers: nats.url,
    tls: await certificates.filesOf(name),
    inboxPrefix: `_INBOX_${name}`,
    reconnect: false,
    timeout: 10_000,
  });
  stack.defer(() => connection.close());
  const forbidden: string[] = [];
  void collect(connection, forbidden);
  return { connection, forbidden };
}

async function collect(connection: NatsConnection, forbidden: string[]) {
  for await (const status of connection.status())
    if (status.type === "error") forbidden.push(status.error.message);
}

test("a service publishes its own events into its own stream", async () => {
  const { connection, forbidden } = await as("orders");
  const management = await jetstreamManager(connection, { checkAPI: false });
  await management.streams.add({ name: "EMPORIUM_ORDERS", subjects: ["emporium.orders.>"] });
  const { seq } = await jetstream(connection).publish("emporium.orders.v1.OrderPlaced.ord_1");
  expect(seq).toBe(1);
  expect(forbidden).toEqual([]);
});

test.each([
  "emporium.inventory.v1.StockChanged.TEA",
  "emporium.dlq.orders.inventory-returned-goods.1",
  "emporium.redrive.orders.inventory-returned-goods.OrderPlaced.ord_1",
  "$JS.API.STREAM.DELETE.EMPORIUM_INVENTORY",
  "$JS.API.STREAM.PURGE.EMPORIUM_ORDERS",
  "$JS.API.STREAM.MSG.GET.EMPORIUM_INVENTORY",
  "$JS.API.CONSUMER.CREATE.EMPORIUM_INVENTORY.orders-spy",
  "$JS.API.CONSUMER.MSG.NEXT.EMPORIUM_INVENTORY.checkout-refunds",
  "$JS.ACK.EMPORIUM_INVENTORY.checkout-refunds.1.1.1.1.0",
  "_INBOX_checkout.answer",
])("orders cannot publish on %s", async (subject) => {
  const local = await as("local");
  const heard: string[] = [];
  const listening = local.connection.subscribe(subject, {
    callback: (_, message) => void heard.push(message.subject),
  });
  await local.connection.flush();
  const { connection, forbidden } = await as("orders");
  connection.publish(subject, "forged");
  await expect.poll(() => forbidden).toEqual([expect.stringContaining(subject)]);
  await connection.flush();
  await local.connection.flush();
  expect(heard).toEqual([]);
  listening.unsubscribe();
});

test.each(["_INBOX_checkout.>", "_INBOX.>", "emporium.>", "$JS.EVENT.>", ">"])(
  "orders cannot listen to %s",
  async (subject) => {
    const { connection, forbidden } = await as("orders");
    connection.subscribe(subject, { callback: () => undefined });
    await expect.poll(() => forbidden).toEqual([expect.stringContaining(subject)]);
  },
);

test("a program of the shop that needs no events gets no connection", async () => {
  await expect(as("demo")).rejects.toThrow(/authorization/i);
});

test("nobody connects without a certificate", async () => {
  const { nats, certificates } = infrastructure;
  const { caFile } = await certificates.filesOf("orders");
  const connecting = connect({
    servers: nats.url,
    tls: { caFile },
    reconnect: false,
    timeout: 10_000,
  });
  await expect(connecting).rejects.toThrow(/certificate|closed|reset/i);
});

test("keys and passwords are their owner's alone", async () => {
  const { certificates } = infrastructure;
  const { keyFile } = await certificates.filesOf("orders");
  for (const path of [keyFile, join(certificates.folder, "authority", "ca.key")])
    expect((await stat(path)).mode & 0o077).toBe(0);
});

test("Postgres takes nobody in without TLS, and proves who it is", async () => {
  const url = new URL(infrastructure.postgres.databases.url("postgres"));
  url.searchParams.set("sslmode", "disable");
  const plain = new Client({ connectionString: url.href });
  await expect(plain.connect()).rejects.toThrow(/no encryption/);
  const folder = await mkdtemp(join(tmpdir(), "stranger-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const stranger = await Certificates.open(folder);
  url.searchParams.set("sslmode", "verify-full");
  url.searchParams.set("sslrootcert", (await stranger.filesOf("orders")).caFile);
  const deceived = new Client({ connectionString: url.href });
  await expect(deceived.connect()).rejects.toThrow(/certificate/);
});

test("NATS and Postgres show new certificates without a restart, and drop nobody", async () => {
  const { nats, postgres, certificates } = infrastructure;
  const pids = [nats.pid, postgres.pid];
  const database = new Client({ connectionString: postgres.databases.url("postgres") });
  await database.connect();
  const { connection } = await as("orders");
  await certificates.rotate();
  for (const [server, shown] of [
    ["nats", natsCertificate],
    ["postgres", postgresCertificate],
  ] as const) {
    const { certFile } = await certificates.filesOf(server);
    const { serialNumber } = new X509Certificate(await readFile(certFile));
    await expect.poll(shown, { timeout: 20_000 }).toBe(serialNumber);
  }
  await connection.flush();
  await database.query("SELECT 1");
  await database.end();
  expect([nats.pid, postgres.pid]).toEqual(pids);
});

/** The serial number in the certificate that NATS shows after its greeting. */
async function natsCertificate(): Promise<string> {
  const plain = createConnection(Number(new URL(infrastructure.nats.url).port), "127.0.0.1");
  await once(plain, "data");
  const socket = connectTls({ socket: plain, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { serialNumber } = socket.getPeerCertificate();
  socket.on("error", () => undefined).destroy();
  return serialNumber;
}

async function postgresCertificate(): Promise<string> {
  const client = new Client({
    connectionString: infrastructure.postgres.databases.url("postgres"),
  });
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
  const { serialNumber } = stream.getPeerCertificate();
  await client.end();
  return serialNumber;
}
