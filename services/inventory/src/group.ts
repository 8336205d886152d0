export interface GroupOptions<Ask> {
  /** Most asks that are decided together. */
  members: number;
  /** Most batches that run at one time. */
  batches: number;
  /** What an ask is about; `undefined` where it may be about anything. */
  keysOf: (ask: Ask) => readonly string[] | undefined;
}

/**
 * Answers a batch in the order of its asks. `before` settles when the batches have ended that may be
 * about the same; it is not there where none is running.
 */
export type RunBatch<Ask, Answer> = (asks: Ask[], before?: Promise<unknown>) => Promise<Answer[]>;

interface Member<Ask, Answer> extends PromiseWithResolvers<Answer> {
  ask: Ask;
  signal: AbortSignal | undefined;
  keys: readonly string[] | undefined;
}

interface Batch<Ask, Answer> {
  members: Member<Ask, Answer>[];
  ended: Promise<void>;
}

/**
 * Answers asks that come at the same time together. An ask that comes when nothing runs is run at
 * once, alone; asks that come while `batches` run wait and make up the next batch. So nobody waits
 * for company, and what costs the same for one as for many (a commit, the lock on a product that
 * everybody wants) is paid once for all who wait.
 *
 * Beside a batch that runs go those who have nothing in common with it, nor with someone who waits
 * before them. Where there is none, the next batch starts all the same, to be made ready, and is told
 * what it comes behind.
 *
 * Where a batch fails, its members are run again one by one, so that nobody gets another's error;
 * `run` must leave nothing behind when it rejects. An ask whose signal is aborted before its batch
 * starts is not run and rejects with the signal's reason; later the signal has no effect.
 *
 * @example
 * const group = new Group((lines: Line[], before) => reserveAll(lines, before), {
 *   members: 128, batches: 2, keysOf: (lines) => lines.map(({ sku }) => sku) });
 * const answer = await group.ask(line, call.signal);
 */
export class Group<Ask, Answer> {
  #waiting: Member<Ask, Answer>[] = [];
  readonly #running = new Set<Batch<Ask, Answer>>();
  readonly #run: RunBatch<Ask, Answer>;
  readonly #options: GroupOptions<Ask>;
  #starting = false;

  constructor(run: RunBatch<Ask, Answer>, options: GroupOptions<Ask>) {
    this.#run = run;
    this.#options = options;
  }

  /** Resolves to the answer to this one ask. */
  ask(ask: Ask, signal?: AbortSignal): Promise<Answer> {
    const keys = this.#options.keysOf(ask);
    const member = { ask, signal, keys, ...Promise.withResolvers<Answer>() };
    this.#waiting.push(member);
    if (this.#running.size === 0) this.#startBatch();
    else this.#startSoon();
    return member.promise;
  }

  get #mayStart(): boolean {
    return this.#running.size < this.#options.batches && this.#waiting.length > 0;
  }

  /** At the end of this turn of the event loop, so that all who ask in it come along. */
  #startSoon(): void {
    if (this.#starting || !this.#mayStart) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      this.#startBatch();
      this.#startSoon();
    });
  }

  #startBatch(): void {
    if (!this.#mayStart) return;
    let before: Promise<unknown> | undefined;
    let members = this.#takeBeside();
    if (members.length === 0) {
      members = this.#waiting.splice(0, this.#options.members);
      before = Promise.all([...this.#running].map(({ ended }) => ended));
    }
    const batch = { members, ended: this.#settle(members, before) };
    this.#running.add(batch);
    void batch.ended.then(() => {
      this.#running.delete(batch);
      this.#startSoon();
    });
  }

  /** Takes those out of the line who have nothing in common with what runs or is before them. */
  #takeBeside(): Member<Ask, Answer>[] {
    const beside: Member<Ask, Answer>[] = [];
    const left: Member<Ask, Answer>[] = [];
    const taken = new Set<string>();
    let anything = false;
    const take = ({ keys }: Member<Ask, Answer>) => {
      anything ||= keys === undefined;
      for (const key of keys ?? []) taken.add(key);
    };
    for (const { members } of this.#running) members.forEach(take);
    const goesBeside = (member: Member<Ask, Answer>) => {
      if (anything || beside.length === this.#options.members) return false;
      if (taken.size === 0 || member.keys?.every((key) => !taken.has(key))) return true;
      take(member);
      return false;
    };
    for (const member of this.#waiting) (goesBeside(member) ? beside : left).push(member);
    this.#waiting = left;
    return beside;
  }

  async #settle(batch: Member<Ask, Answer>[], before?: Promise<unknown>): Promise<void> {
    const [gone, present] = partition(batch, (member) => member.signal?.aborted === true);
    for (const member of gone) member.reject(member.signal?.reason);
    if (present.length === 0) return;
    try {
      const asks = present.map((member) => member.ask);
      const answers = await this.#run(asks, before);
      present.forEach((member, index) => member.resolve(answers[index] as Answer));
    } catch (error) {
      if (present.length === 1) present[0]?.reject(error);
      else for (const member of present) await this.#settle([member], before);
    }
  }
}

function partition<T>(items: T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
