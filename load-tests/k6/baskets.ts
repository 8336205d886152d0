import { SharedArray } from "k6/data";
import { settings } from "./settings.ts";

/** An order of the real month: who bought, and what. */
export interface Basket {
  customerId: string;
  lines: { sku: string; quantity: string }[];
}

/** The real orders, once for all virtual users; `open` may only be called while k6 starts. */
const baskets = new SharedArray<Basket>("baskets", () => JSON.parse(open(settings.baskets)));

/** One of the real orders, each as likely as any other: so the skew of products is the real one. */
export function anyBasket(): Basket {
  return baskets[Math.floor(Math.random() * baskets.length)]!;
}
