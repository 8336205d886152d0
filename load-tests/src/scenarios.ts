/** One way to load the shop. */
export interface Scenario {
  /** What it is for, in a line. */
  readonly about: string;
  /** Servers of each service. */
  readonly replicas?: number;
  /** Units of the flash sale's product, where there must be too few. */
  readonly hotUnits?: bigint;
  /** Whether servers are killed and started again meanwhile. */
  readonly faults?: boolean;
}

/** What `npm run load -- <name>` knows. Each has a script of its name in `k6/`, but breakpoint. */
export const scenarios: Record<string, Scenario> = {
  smoke: { about: "a little of everything, 20 s: does it work?" },
  load: { about: "the December mix at a constant arrival rate" },
  stress: { about: "towards the knee in steps, two and a half times the usual load, and back" },
  spike: { about: "five times as many visitors from one moment to the next" },
  soak: { about: "half the usual load for ten minutes, or for as long as asked" },
  breakpoint: { about: "finds the rate at which the objectives are no longer kept" },
  "flash-sale": { about: "all want the one product, of which there are too few", hotUnits: 500n },
  streams: { about: "a thousand watchers, imports and sessions while orders change stock" },
  faults: {
    about: "the December mix while servers are killed",
    replicas: 2,
    faults: true,
  },
};

/** The product that all want in the flash sale; `k6/flash-sale.ts` buys it. */
export const HOT_PRODUCT = "85123A";
