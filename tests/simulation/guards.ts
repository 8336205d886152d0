/** What the shop relies on. A simulation drops one of them, and has to find out. */
export interface Guards {
  /** What was asked for under an id is done once. */
  idempotencyKey: boolean;
  /** A takeover raises the fence, so that whoever had the lease before writes no more. */
  fence: boolean;
  /** No more is reserved than is available. */
  enoughAvailable: boolean;
}

export const allGuards: Guards = { idempotencyKey: true, fence: true, enoughAvailable: true };
