import { vi } from "vitest";

/** Asks until it no longer fails; patient, since the machine may be busy. */
export function soon<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor<T>(look, { timeout: 15_000, interval: 20 });
}
