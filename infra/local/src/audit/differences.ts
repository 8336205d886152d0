/** A place where two books of the shop, or the shop and what is known of it, differ. */
export interface Difference {
  what: string;
  expected: string;
  found: string;
}

/** Collects what differs. */
export class Differences {
  readonly found: Difference[] = [];

  /** Notes a difference unless both are the same. */
  compare(what: string, expected: unknown, found: unknown): void {
    if (expected !== found)
      this.found.push({ what, expected: String(expected), found: String(found) });
  }
}
