/**
 * Numbers of streams that one side ended before the other did, the latest of them: what still comes of
 * one is dropped (RFC 9113, section 5.1).
 */
export class EndedStreams {
  readonly #maxStreams: number;
  readonly #ids = new Set<number>();

  constructor(maxStreams: number) {
    this.#maxStreams = maxStreams;
  }

  get size(): number {
    return this.#ids.size;
  }

  add(id: number): void {
    this.#ids.add(id);
    if (this.#ids.size <= this.#maxStreams) return;
    const [oldest] = this.#ids;
    this.#ids.delete(oldest!);
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  delete(id: number): void {
    this.#ids.delete(id);
  }
}
