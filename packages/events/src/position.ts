/** A place in a source's stream. The same number in another incarnation is another event. */
export interface StreamPosition {
  /** Which run of numbers this is, from the stream itself. */
  readonly incarnation: string;
  /** The last message that was seen. */
  readonly sequence: number;
}

/**
 * A position as text, for a resume token; about 50 characters.
 * @example
 *     formatPosition(batch.position) // "2026-11-23T21:14:51.123456789Z#0@1042"
 */
export function formatPosition({ incarnation, sequence }: StreamPosition): string {
  return `${incarnation}@${sequence}`;
}

/** Reads what `formatPosition` wrote; undefined for anything else. */
export function parsePosition(text: string): StreamPosition | undefined {
  const found = /^([\d-]{10}T[\d:.]{8,18}Z#\d{1,9})@(\d{1,15})$/.exec(text);
  return found ? { incarnation: found[1]!, sequence: Number(found[2]) } : undefined;
}
