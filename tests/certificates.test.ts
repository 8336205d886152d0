import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:tls";
import { CheckoutService, CheckoutState } from "@emporium/contracts/checkout/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { bootShop, type Certificates, stockShop } from "@emporium/local";
import { newId } from "@emporium/runtime";
import { expect, test } from "vitest";

const ROTATIONS = 3;

/** The machine may be busy: this is not about how long a call takes. */
const patience = { timeoutMs: 60_000 };

/** Connections live so long, and are then made again with the certificates of the day. */
const limits = { maxConnectionAgeMs: 2_000, maxConnectionAgeGraceMs: 30_000 };

test(
  "certificates of all services are replaced again and again while purchases run, and none fails",
  { timeout: 120_000 },
  async () => {
    await using shop = await bootShop({
      durable: false,
      replicas: { inventory: 2, orders: 2, checkout: 2 },
      settings: { inventory: { limits }, orders: { limits }, checkout: { limits } },
    });
    using inventory = await shop.client(InventoryService, { as: "test", by: "admin" });
    using checkout = await shop.client(CheckoutService, { as: "test", by: "support" });
    using orders = await shop.client(OrderService, { as: "test", by: "support" });
    const product = { sku: "TEA", title: "TEA", listPrice: 250n, unitsSold: 0n, units: 100_000n };
    const importId = newId("imp");
    await stockShop({ inventory, importId, products: [product], currency: "GBP" });

    const rotating = new AbortController();
    let bought = 0;
    const buy = async () => {
      while (!rotating.signal.aborted) {
        const order = {
          checkoutId: newId("chk"),
          customerId: "17850",
          basket: { case: "cart" as const, value: { lines: [{ sku: "TEA", quantity: 1n }] } },
          paymentToken: "tok_approve",
        };
        const { checkout: purchase } = await checkout.completeOrder(order, patience);
        expect(purchase?.state).toBe(CheckoutState.COMPLETED);
        await orders.getOrder({ orderId: purchase!.orderId }, patience);
        bought++;
      }
    };
    const buyers = Promise.all(Array.from({ length: 4 }, buy));
    const rotate = async () => {
      for (let rotation = 0; rotation < ROTATIONS; rotation++) {
        await shop.certificates.rotate();
        for (const { service, address } of shop.replicas)
          await expect
            .poll(() => shown(address, shop.certificates), { timeout: 20_000 })
            .toBe(await serialOf(service, shop.certificates));
        // With connections that were made after the rotation.
        const before = bought;
        await expect.poll(() => bought, { timeout: 30_000 }).toBeGreaterThan(before + 10);
      }
    };
    await Promise.race([buyers, rotate()]).finally(() => rotating.abort());
    await buyers;
  },
);

async function serialOf(name: string, certificates: Certificates): Promise<string> {
  const { certFile } = await certificates.filesOf(name);
  return new X509Certificate(await readFile(certFile)).serialNumber;
}

/** The serial number in the certificate that a server shows to a new connection. */
async function shown(address: string, certificates: Certificates): Promise<string> {
  const { certificate: cert, privateKey: key } = (await certificates.sourceOf("test")).current();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const [host, port] = address.split(":");
  // Whose certificate it is, is what this asks.
  const options = { host, port: Number(port), cert, key, rejectUnauthorized: false };
  const socket = connect({ ...options, ALPNProtocols: ["h2"] }, () => {
    resolve(socket.getPeerCertificate().serialNumber);
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}
