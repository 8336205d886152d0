/** A person who can log in at the local issuer. */
export interface Person {
  name: string;
  password: string;
  /** What tokens call him (`sub`): a customer's id, or the name of one of the staff. */
  subject: string;
  /** What tokens for him allow at most. */
  scopes: string[];
}

/** A program that the local issuer knows; the rest are client metadata of RFC 7591. */
export interface Program {
  client_id: string;
  client_secret?: string;
  scope?: string;
  [metadata: string]: unknown;
}

/** What the local issuer is started with, in a file of its own. */
export interface IssuerSettings {
  /** Its address, and what tokens name in `iss`. */
  issuer: string;
  /** Where it listens. */
  host: string;
  port: number;
  /** Whom access tokens are for (`aud`). */
  audience: string;
  certFile: string;
  keyFile: string;
  /** Every scope of the contract. */
  scopes: string[];
  /** File with its signing keys; a change of it takes effect at once. */
  keysFile: string;
  /** Signs its cookies. */
  cookieKey: string;
  people: Person[];
  programs: Program[];
}
