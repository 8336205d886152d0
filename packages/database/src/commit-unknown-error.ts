/**
 * COMMIT was sent and the connection broke before the answer: the transaction may have happened
 * or not. It is never started over here. A caller whose work has an idempotency key may do the
 * whole again; any other has to look first.
 */
export class CommitUnknownError extends Error {
  override readonly name = "CommitUnknownError";

  constructor(options: ErrorOptions) {
    super("the connection broke during COMMIT, so it is not known whether it took place", options);
  }
}
