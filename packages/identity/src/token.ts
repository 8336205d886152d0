/** A token that was verified: whom the call is for. */
export interface Token {
  /** A customer's id, another person's name, or a program's client id (`sub`). */
  readonly subject: string;
  /** A program that acts for itself, by client_credentials: its subject is its client id (RFC 9068, 2.2). */
  readonly isProgram: boolean;
  /** What it allows (`scope`). */
  readonly scopes: ReadonlySet<string>;
  /** Milliseconds since the epoch from which on it is refused; the issuer's clock may be late. */
  readonly validUntil: number;
}

/** A token that is refused. The message says why, for logs; callers are told less. */
export class InvalidToken extends Error {
  override name = "InvalidToken";
}
