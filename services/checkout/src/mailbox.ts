/** Most letters that wait before whoever posts has to wait too. */
const MOST_WAITING = 16;

/**
 * Letters of several writers to one reader, who may be slow. `post` waits while many are waiting to
 * be read; `replace` never waits: of letters that were replaced only the latest is read.
 *
 * @example
 * void work(mailbox).then(() => mailbox.close(), (error) => mailbox.fail(error));
 * yield* mailbox;
 */
export class Mailbox<Letter> implements AsyncIterable<Letter> {
  readonly #waiting: { letter: Letter; replaceable: boolean }[] = [];
  #end: { error?: unknown } | undefined;
  #changed = Promise.withResolvers<void>();

  /** Adds a letter; resolves when there is room for another. */
  async post(letter: Letter): Promise<void> {
    this.#waiting.push({ letter, replaceable: false });
    this.#tell();
    while (this.#waiting.length >= MOST_WAITING && !this.#end) await this.#changed.promise;
  }

  /** Adds a letter, and drops the last one that came this way if that still waits. */
  replace(letter: Letter): void {
    const last = this.#waiting.findIndex(({ replaceable }) => replaceable);
    if (last >= 0) this.#waiting.splice(last, 1);
    this.#waiting.push({ letter, replaceable: true });
    this.#tell();
  }

  /** Ends the reading once everything is read. */
  close(): void {
    this.#end ??= {};
    this.#tell();
  }

  /** Ends the reading at once, with an error. */
  fail(error: unknown): void {
    this.#waiting.length = 0;
    this.#end ??= { error };
    this.#tell();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Letter> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next) {
        this.#tell();
        yield next.letter;
      } else if (this.#end) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      } else await this.#changed.promise;
    }
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
