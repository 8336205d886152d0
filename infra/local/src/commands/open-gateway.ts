import { create, everyScope, type RunningGateway } from "@emporium/gateway";
import type { Shop } from "../shop/shop.js";

/** The issuer's client for people: public, with code and PKCE, on any port of this machine. */
const CLIENT = "console";

/**
 * Opens the gateway of a shop: one port for browsers and REST. It runs in this process, and signs people
 * in at the shop's issuer.
 */
export async function openGateway(
  shop: Shop,
  { port, logLevel }: { port: number; logLevel: string },
): Promise<RunningGateway> {
  return create({
    listen: { host: "127.0.0.1", port },
    tls: await shop.certificates.sourceOf("gateway"),
    addresses: shop.addresses,
    signIn: { issuer: shop.issuer.url, clientId: CLIENT, scopes: everyScope() },
    logLevel,
    shutdownGraceMs: 2_000,
  });
}
