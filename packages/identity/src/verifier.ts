import { type EngineClock, realTime } from "@emporium/grpc";
import { errors, type JWTPayload, jwtVerify } from "jose";
import { IssuerMetadata } from "./issuer.js";
import { type KeyReloading, KeySet } from "./key-set.js";
import { InvalidToken, type Token } from "./token.js";

/** Whose tokens are good, and how they are looked at. Times are in milliseconds. */
export interface TokenVerifierOptions {
  /** Address of the OIDC issuer, as its tokens name it in `iss`. */
  issuer: string;
  /** Whom its tokens are for (`aud`). */
  audience: string;
  /** Signature algorithms that are taken; ES256, EdDSA, RS256 and PS256 where absent. */
  algorithms?: string[];
  /** How late a clock may be: a token is good for this much longer, and this much earlier. */
  clockSkewMs?: number;
  /** How long a token that was verified is taken as it is; never beyond its own time. */
  cacheMs?: number;
  /** Where it differs from 30 s and 1 s. */
  reloading?: Partial<KeyReloading>;
  /** Told when the issuer's keys could not be loaded. */
  onError?: (error: unknown) => void;
  clock?: EngineClock;
}

/** Characters of a token; a gRPC server takes no more metadata than that. */
const LONGEST_TOKEN = 8 * 1024;

/** Tokens that are remembered, about 2 KB each. */
const MOST_REMEMBERED = 5_000;

/** Asymmetric ones only: with HS256 the public key would be the secret (RFC 8725, 2.1). */
const ALGORITHMS = ["ES256", "EdDSA", "RS256", "PS256"];

/**
 * Verifies access tokens of one OIDC issuer: JWTs in the profile of RFC 9068, with `iss`, `aud`,
 * `exp`, `iat`, `sub`, `client_id` and `scope`. The issuer may come later: until its keys are
 * there, `ready` rejects.
 *
 * @example
 * using verifier = new TokenVerifier({ issuer: "https://id.example.com", audience: "emporium" });
 * const { subject, scopes } = await verifier.verify(token); // rejects with InvalidToken
 */
export class TokenVerifier implements Disposable {
  readonly #options;
  readonly #clock: EngineClock;
  readonly #keys: KeySet;
  readonly #remembered = new Map<string, { token: Token; until: number }>();

  constructor(options: TokenVerifierOptions) {
    this.#options = { algorithms: ALGORITHMS, clockSkewMs: 30_000, cacheMs: 60_000, ...options };
    this.#clock = options.clock ?? realTime;
    const reloading = { reloadMs: 30_000, cooldownMs: 1_000, ...options.reloading };
    this.#keys = new KeySet(new IssuerMetadata(options.issuer), this.#clock, reloading, {
      changed: () => this.#remembered.clear(),
      failed: (error) => options.onError?.(error),
    });
  }

  /** Resolves when the issuer's keys are there; a dependency of the process's health. */
  ready(): Promise<void> {
    return this.#keys.loaded();
  }

  /** What a token says, once it is known to be the issuer's, for us, and of this time. */
  async verify(jwt: string): Promise<Token> {
    const known = this.#remembered.get(jwt);
    if (known && this.#clock.now() < known.until) return known.token;
    if (jwt.length > LONGEST_TOKEN) throw new InvalidToken("the token is too long");
    const { generation } = this.#keys;
    const token = await this.#verifyAnew(jwt);
    // Else its key may be one that was removed meanwhile.
    if (generation === this.#keys.generation) this.#remember(jwt, token);
    return token;
  }

  [Symbol.dispose](): void {
    this.#keys[Symbol.dispose]();
  }

  async #verifyAnew(jwt: string): Promise<Token> {
    const { algorithms, audience, clockSkewMs, issuer } = this.#options;
    try {
      const { payload } = await jwtVerify(jwt, (header) => this.#keys.find(header), {
        algorithms,
        audience,
        issuer,
        typ: "at+jwt",
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ["exp", "iat", "sub", "client_id"],
      });
      return toToken(payload, clockSkewMs);
    } catch (error) {
      throw error instanceof errors.JOSEError ? new InvalidToken(error.message) : error;
    }
  }

  #remember(jwt: string, token: Token): void {
    const until = Math.min(
      this.#clock.now() + this.#options.cacheMs,
      token.validUntil - this.#options.clockSkewMs,
    );
    if (this.#remembered.size >= MOST_REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      this.#remembered.delete(oldest!);
    }
    this.#remembered.set(jwt, { token, until });
  }
}

function toToken(payload: JWTPayload, clockSkewMs: number): Token {
  const { sub, aud, exp, client_id: clientId, scope = "" } = payload;
  // Whoever else it is for could use it here (RFC 9068, 3).
  if (Array.isArray(aud) && aud.length !== 1)
    throw new InvalidToken("the token is for others as well");
  if (typeof sub !== "string" || typeof clientId !== "string" || typeof scope !== "string")
    throw new InvalidToken("a claim is no text");
  return {
    subject: sub,
    isProgram: sub === clientId,
    scopes: new Set(scope.split(" ").filter(Boolean)),
    validUntil: exp! * 1000 + clockSkewMs,
  };
}
