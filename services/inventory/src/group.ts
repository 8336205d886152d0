/** Bounds of a group. */
export interface GroupLimits {
  /** Most asks that are decided together. */
  members: number;
  /** Most batches that run at one time. */
  batches: number;
}

interface Member<Ask, Answer> extends PromiseWithResolvers<Answer> {
  ask: Ask;
  signal: AbortSignal | undefined;
}

/**
 * Answers asks that come at the same time together. An ask that comes when nothing runs is run at
 * once, alone; asks that come while `batches` run wait and make up the next batch. So nobody waits
 * for company, and what costs the same for one as for many (a commit, the lock on a product that
 * everybody wants) is paid once for all who wait.
 *
 * Where a batch fails, its members are run again one by one, so that nobody gets another's error;
 * `run` must leave nothing behind when it rejects. An ask whose signal is aborted before its batch
 * starts is not run and rejects with the signal's reason; later the signal has no effect.
 *
 * @example
 * const group = new Group((lines: Line[]) => reserveAll(lines), { members: 128, batches: 2 });
 * const answer = await group.ask(line, call.signal);
 */
export class Group<Ask, Answer> {
  readonly #waiting: Member<Ask, Answer>[] = [];
  readonly #run: (asks: Ask[]) => Promise<Answer[]>;
  readonly #limits: GroupLimits;
  #running = 0;
  #starting = false;

  /** `run` answers the asks it is given, in their order. */
  constructor(run: (asks: Ask[]) => Promise<Answer[]>, limits: GroupLimits) {
    this.#run = run;
    this.#limits = limits;
  }

  /** Resolves to the answer to this one ask. */
  ask(ask: Ask, signal?: AbortSignal): Promise<Answer> {
    const member = { ask, signal, ...Promise.withResolvers<Answer>() };
    this.#waiting.push(member);
    if (this.#running === 0) this.#startBatch();
    else this.#startSoon();
    return member.promise;
  }

  /** At the end of this turn of the event loop, so that all who ask in it come along. */
  #startSoon(): void {
    if (this.#starting || this.#running >= this.#limits.batches || this.#waiting.length === 0)
      return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      this.#startBatch();
      this.#startSoon();
    });
  }

  #startBatch(): void {
    if (this.#running >= this.#limits.batches || this.#waiting.length === 0) return;
    this.#running++;
    void this.#settle(this.#waiting.splice(0, this.#limits.members)).finally(() => {
      this.#running--;
      this.#startSoon();
    });
  }

  async #settle(batch: Member<Ask, Answer>[]): Promise<void> {
    const [gone, present] = partition(batch, (member) => member.signal?.aborted === true);
    for (const member of gone) member.reject(member.signal?.reason);
    if (present.length === 0) return;
    try {
      const answers = await this.#run(present.map((member) => member.ask));
      present.forEach((member, index) => member.resolve(answers[index] as Answer));
    } catch (error) {
      if (present.length === 1) present[0]?.reject(error);
      else for (const member of present) await this.#settle([member]);
    }
  }
}

function partition<T>(items: T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
