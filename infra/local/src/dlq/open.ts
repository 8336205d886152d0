import { type DeadLetters, openDeadLetters } from "@emporium/events";
import type { Shop } from "../shop/shop.js";

/** Opens the dead letters of a shop, with the certificate of those who look after them. */
export async function openLetters(
  shop: Pick<Shop, "certificates" | "natsUrl" | "eventPrefix">,
): Promise<DeadLetters & AsyncDisposable> {
  const tls = await shop.certificates.filesOf("dead-letters");
  return openDeadLetters({ servers: shop.natsUrl, nats: { tls }, prefix: shop.eventPrefix });
}
