import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { faultPoints as ofCheckout } from "@emporium/checkout";
import { faultPoints as ofInventory } from "@emporium/inventory";
import type { Shop } from "@emporium/local";
import { faultPoints as ofOrders } from "@emporium/orders";

export type ServiceName = keyof Shop["addresses"];

/** A named place of a service's processes. */
export interface Place {
  service: ServiceName;
  name: string;
}

/** All of them. */
export const places: readonly Place[] = Object.entries({
  inventory: ofInventory,
  orders: ofOrders,
  checkout: ofCheckout,
}).flatMap(([service, names]) => names.map((name) => ({ service: service as ServiceName, name })));

/** The service that a process is of. */
export function serviceOf(label: string): ServiceName {
  return label.replace(/-\d+$/, "") as ServiceName;
}

/** The switches and hit counters of all named places of a shop's processes. */
export class FaultMarks implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "emporium-faults-"));

  constructor() {
    for (const { service } of places) mkdirSync(join(this.#folder, service), { recursive: true });
  }

  /** What the processes of a service are started with. */
  variables(service: ServiceName): { FAULT_POINTS: string } {
    return { FAULT_POINTS: `folder=${join(this.#folder, service)}` };
  }

  /** The next process that passes there dies. */
  arm(place: Place): void {
    writeFileSync(this.#file(place, "kill"), "");
  }

  /** Nobody has died there since it was armed. */
  isArmed(place: Place): boolean {
    return existsSync(this.#file(place, "kill"));
  }

  /** From now on nobody dies at any place. */
  disarm(): void {
    for (const place of places) rmSync(this.#file(place, "kill"), { force: true });
  }

  /** How often processes passed there. */
  hits(place: Place): number {
    return statSync(this.#file(place, "hits"), { throwIfNoEntry: false })?.size ?? 0;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file({ service, name }: Place, kind: "hits" | "kill"): string {
    return join(this.#folder, service, `${name}.${kind}`);
  }
}
