import "reflect-metadata";
import { Certificates } from "@emporium/local";
import { create } from "@emporium/inventory";
import { served } from "../rpc/served.js";

/** What the server of this bench is told. */
export interface Start {
  databaseUrl: string;
  natsUrl: string;
  issuerUrl: string;
  /** Folder of the certificates. */
  certificates: string;
}

/**
 * Inventory as it is, but for its limits: a process takes 2,000 calls at once, and 4,000 of a peer,
 * where nothing else is said; here one takes all the watchers there are, so that they can be counted.
 */
const start = JSON.parse(process.argv[2]!) as Start;
const certificates = await Certificates.open(start.certificates);
certificates.trustHere();
const { address } = await create({
  listen: { host: "127.0.0.1", port: 0 },
  tls: await certificates.sourceOf("inventory"),
  oidc: { issuer: start.issuerUrl, audience: "emporium" },
  databaseUrl: start.databaseUrl,
  nats: { servers: start.natsUrl, prefix: "emporium" },
  currency: "GBP",
  logLevel: "error",
  shutdownGraceMs: 1_000,
  shedding: { maxCallsInFlight: Infinity, maxEventLoopDelayMs: Infinity },
  limits: { maxCallsPerPeer: Infinity },
});
served(Number(address.split(":")[1]));
