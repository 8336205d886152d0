import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { Code } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, expect, test } from "vitest";
import {
  createGrpcClient,
  currentCall,
  serviceNameOf,
  spiffeId,
  type TlsMaterial,
} from "../src/index.js";
import { type Authority, newAuthority, type Says, sourceOf } from "./authority.js";
import { freePort } from "./free-port.js";
import { TrialService } from "./generated/trial/v1/trial_pb.js";
import { errorOf, startTrial, trialClient, type TrialHandlers } from "./trial-server.js";

/** Proof of who is at either end of a connection. */
const DAY_MS = 24 * 60 * 60_000;
const yesterday = new Date(Date.now() - DAY_MS);
const tomorrow = new Date(Date.now() + DAY_MS);

let authority: Authority;
let stranger: Authority;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([newAuthority(), newAuthority()]);
});

/** Answers with the name and serial number in the caller's certificate. */
const whoAsks: TrialHandlers = {
  ask() {
    const certificate = currentCall()?.peerCertificate;
    const name = serviceNameOf(certificate?.subjectaltname) ?? "nobody";
    return { text: `${name} ${certificate?.serialNumber ?? ""}`.trim() };
  },
};

const serialOf = ({ certificate }: TlsMaterial) => new X509Certificate(certificate).serialNumber;

test("a handler is told whose certificate the caller has proved to own", async () => {
  const [server, client] = await Promise.all([authority.issue("trial"), authority.issue("demo")]);
  const tls = { source: sourceOf(client), server: "trial" };
  await using trial = await startTrial(whoAsks, { tls: sourceOf(server) }, { tls });
  const { text } = await trial.client.ask({});
  expect(text).toBe(`demo ${serialOf(client)}`);
});

test("without TLS nobody has a certificate", async () => {
  await using trial = await startTrial(whoAsks);
  expect(await trial.client.ask({})).toMatchObject({ text: "nobody" });
});

/** What is wrong with a certificate, its signature apart. */
const flaws: Record<string, Says> = {
  "signed by itself": { selfSigned: true },
  "with no URI": { uris: [] },
  "of another trust domain": { uris: ["spiffe://example.org/demo"] },
  "of a trust domain that begins alike": { uris: ["spiffe://emporium.example.org/demo"] },
  "with a path for a name": { uris: ["spiffe://emporium.example/demo/admin"] },
  "with an https URI": { uris: ["https://emporium.example/demo"] },
  "with two URIs": { uris: [spiffeId("demo"), spiffeId("orders")] },
  "with a URI that holds another": { uris: [`${spiffeId("x")}, URI:${spiffeId("orders")}`] },
  expired: { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: yesterday },
  "not valid yet": { notBefore: tomorrow, notAfter: new Date(Date.now() + 2 * DAY_MS) },
};

/** Calls without any of the engine's own checks, and tells the status and whether it was answered. */
async function callWith(credentials: grpc.ChannelCredentials) {
  let handled = 0;
  const ask = () => ({ text: `${++handled}` });
  const source = sourceOf(await authority.issue("trial"));
  await using trial = await startTrial({ ask }, { tls: source });
  const client = new grpc.Client(trial.server.address, credentials, {
    "grpc.use_local_subchannel_pool": 1,
  });
  const bytes = (value: Buffer) => value;
  const status = await new Promise<grpc.status>((resolve) =>
    client.makeUnaryRequest(
      "/trial.v1.TrialService/Ask",
      bytes,
      bytes,
      Buffer.alloc(0),
      { deadline: Date.now() + 10_000 } as never,
      (error: grpc.ServiceError | null) => resolve(error?.code ?? grpc.status.OK),
    ),
  );
  client.close();
  return { status: grpc.status[status], handled };
}

const credentialsOf = (ca: string, privateKey?: string, certificate?: string) =>
  grpc.credentials.createSsl(
    Buffer.from(ca),
    privateKey ? Buffer.from(privateKey) : null,
    certificate ? Buffer.from(certificate) : null,
    { checkServerIdentity: () => undefined },
  );

const refused = { status: "UNAVAILABLE", handled: 0 };

test("a caller with a certificate of the system is answered", async () => {
  const { certificate, privateKey } = await authority.issue("demo");
  const answer = await callWith(credentialsOf(authority.certificate, privateKey, certificate));
  expect(answer).toEqual({ status: "OK", handled: 1 });
});

test("a caller without TLS reaches no handler", async () => {
  expect(await callWith(grpc.credentials.createInsecure())).toEqual(refused);
});

test("a caller without a certificate reaches no handler", async () => {
  expect(await callWith(credentialsOf(authority.certificate))).toEqual(refused);
});

test("a caller with a certificate of another authority reaches no handler", async () => {
  const { certificate, privateKey } = await stranger.issue("demo");
  const answer = await callWith(credentialsOf(authority.certificate, privateKey, certificate));
  expect(answer).toEqual(refused);
});

const serverOnly: Says = { usage: { serverAuth: true } };

test.each([...Object.entries(flaws), ["for servers only", serverOnly] as const])(
  "a caller with a certificate %s reaches no handler",
  async (_, says) => {
    const { certificate, privateKey } = await authority.issue("demo", says);
    const answer = await callWith(credentialsOf(authority.certificate, privateKey, certificate));
    expect(answer).toEqual(refused);
  },
);

test.each([
  ...Object.entries(flaws),
  ["for clients only", { usage: { clientAuth: true } }] satisfies [string, Says],
  ["of another service", { uris: [spiffeId("orders")] }] satisfies [string, Says],
])("a client sends nothing to a server with a certificate %s", async (_, says) => {
  const [flawed, client] = await Promise.all([
    authority.issue("trial", says),
    authority.issue("demo"),
  ]);
  let handled = 0;
  const ask = () => ({ text: `${++handled}` });
  const tls = { source: sourceOf(client), server: "trial" };
  await using trial = await startTrial({ ask }, { tls: sourceOf(flawed) }, { tls });
  const error = await errorOf(trial.client.ask({}, { timeoutMs: 10_000 }));
  expect(error).toMatchObject({ code: Code.Unavailable });
  expect(handled).toBe(0);
});

test("a client sends nothing to a server of another authority", async () => {
  const [server, client] = await Promise.all([stranger.issue("trial"), authority.issue("demo")]);
  const tls = { source: sourceOf(client), server: "trial" };
  await using trial = await startTrial(whoAsks, { tls: sourceOf(server) }, { tls });
  expect(await errorOf(trial.client.ask({}))).toMatchObject({ code: Code.Unavailable });
});

test("TLS 1.1 is not spoken, and 1.3 is where both sides know it", async () => {
  const source = sourceOf(await authority.issue("trial"));
  const { certificate: cert, privateKey: key } = await authority.issue("demo");
  await using trial = await startTrial(whoAsks, { tls: source });
  const port = Number(trial.server.address.split(":")[1]);
  const speak = (versions: object) =>
    new Promise<string | null>((resolve) => {
      const ca = authority.certificate;
      const options = { port, host: "127.0.0.1", ca, cert, key, ALPNProtocols: ["h2"] };
      const socket = connect({ ...options, ...versions }, () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
      socket.on("error", () => resolve(null));
    });
  const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" };
  expect(await speak(old)).toBeNull();
  expect(await speak({ maxVersion: "TLSv1.2" })).toBe("TLSv1.2");
  expect(await speak({})).toBe("TLSv1.3");
});

test("both sides use a new certificate for new connections, and no call is lost on the way", async () => {
  const issue = () => Promise.all([authority.issue("trial"), authority.issue("demo")]);
  const [server, client] = await issue();
  const sources = { server: sourceOf(server), client: sourceOf(client) };
  const limits = { maxConnectionAgeMs: 100, maxConnectionAgeGraceMs: 10_000 };
  await using trial = await startTrial(
    whoAsks,
    { tls: sources.server, limits },
    { tls: { source: sources.client, server: "trial" } },
  );
  for (let round = 0; round < 5; round++) {
    const [nextServer, nextClient] = await issue();
    sources.server.replace(nextServer);
    sources.client.replace(nextClient);
    const wanted = `demo ${serialOf(nextClient)}`;
    // Every call must succeed; those on an old connection are told apart by the old certificate.
    for (let text = ""; text !== wanted;) ({ text } = await trial.client.ask({}));
    expect(await serverSerial(trial.server.address, nextClient)).toBe(serialOf(nextServer));
  }
}, 30_000);

/** The serial number in the certificate that a server shows to a new connection. */
function serverSerial(address: string, { certificate, privateKey }: TlsMaterial) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({
    port: Number(address.split(":")[1]),
    host: "127.0.0.1",
    ca: authority.certificate,
    cert: certificate,
    key: privateKey,
  });
  socket.on("secureConnect", () => {
    resolve(socket.getPeerCertificate().serialNumber);
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

test("an authority can be replaced by another while both are trusted", async () => {
  const both = `${authority.certificate}\n${stranger.certificate}`;
  const trustBoth = async (by: Authority, name: string): Promise<TlsMaterial> => ({
    ...(await by.issue(name)),
    certificateAuthorities: both,
  });
  const server = sourceOf(await authority.issue("trial"));
  await using trial = await startTrial(whoAsks, { tls: server });
  const ask = async (material: TlsMaterial) => {
    using client = trialClient(trial.server.address, {
      tls: { source: sourceOf(material), server: "trial" },
    });
    return (await client.ask({})).text;
  };
  server.replace(await trustBoth(authority, "trial"));
  expect(await ask(await trustBoth(stranger, "demo"))).toMatch(/^demo/);
  server.replace(await trustBoth(stranger, "trial"));
  expect(await ask(await trustBoth(authority, "demo"))).toMatch(/^demo/);
});

test("probes without a certificate learn the health, and reach nothing else", async () => {
  const probes = { host: "127.0.0.1", port: await freePort() };
  const tls = sourceOf(await authority.issue("trial"));
  const address = `${probes.host}:${probes.port}`;
  using health = createGrpcClient(Health, { address });
  const told: Status[] = [];
  let end: Promise<unknown>;
  {
    await using _ = await startTrial(whoAsks, { tls, probes });
    expect(await health.check({})).toMatchObject({ status: Status.SERVING });
    expect(await health.check({ service: TrialService.typeName })).toMatchObject({
      status: Status.SERVING,
    });
    using client = trialClient(address);
    expect(await errorOf(client.ask({}))).toMatchObject({ code: Code.Unimplemented });
    const watch = async () => {
      for await (const { status } of health.watch({})) told.push(status);
    };
    end = errorOf(watch());
    await expect.poll(() => told).toEqual([Status.SERVING]);
  }
  expect(await end).toMatchObject({ code: Code.Unavailable });
  expect(told).toEqual([Status.SERVING, Status.NOT_SERVING]);
  expect(await errorOf(health.check({}))).toMatchObject({ code: Code.Unavailable });
});
