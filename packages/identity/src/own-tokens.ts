import { createPrivateKey, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type EngineClock, realTime } from "@emporium/grpc";
import { SignJWT } from "jose";
import { fetchJson, IssuerMetadata } from "./issuer.js";

/** Who a program is to the issuer. */
export interface OwnTokensOptions {
  /** Address of the OIDC issuer. */
  issuer: string;
  /** The program's name there; a service's is its own. */
  clientId: string;
  /** File with the private key in PEM (PKCS #8); read anew for every token, so it may be replaced. */
  keyFile: string;
  clock?: EngineClock;
}

/** Milliseconds that a signed assertion of the program is good for. */
const ASSERTION_MS = 60_000;

/** Part of a token's life after which the next one is asked for. */
const FRESH_PART = 0.75;

/** Milliseconds before its end from which on a token is not used any more. */
const LAST_MS = 5_000;

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const ALGORITHMS: Partial<Record<string, string>> = { ec: "ES256", ed25519: "EdDSA", rsa: "PS256" };

interface Held {
  jwt: string;
  refreshAt: number;
  endAt: number;
}

/**
 * Tokens that a program gets for itself (client_credentials with private_key_jwt, RFC 7523), one
 * for each set of scopes: no more than the call at hand needs. They are kept, and replaced before
 * they end; where the issuer is away meanwhile, the old one is used for as long as it is good.
 *
 * @example
 * const own = new OwnTokens({ issuer, clientId: "checkout", keyFile });
 * const jwt = await own.get(["catalogue.read"]); // rejects where the issuer says no, or is away
 */
export class OwnTokens {
  readonly #metadata: IssuerMetadata;
  readonly #clock: EngineClock;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<Held>>();

  constructor(private readonly options: OwnTokensOptions) {
    this.#metadata = new IssuerMetadata(options.issuer);
    this.#clock = options.clock ?? realTime;
  }

  /** A token with these scopes. */
  async get(scopes: readonly string[]): Promise<string> {
    const scope = scopes.join(" ");
    const held = this.#held.get(scope);
    const now = this.#clock.now();
    if (held && now < held.refreshAt) return held.jwt;
    const asking = this.#ask(scope);
    if (!held || now >= held.endAt - LAST_MS) return (await asking).jwt;
    asking.catch(() => undefined);
    return held.jwt;
  }

  /** A token that a server refused is not used again. */
  forget(jwt: string): void {
    for (const [scope, held] of this.#held) if (held.jwt === jwt) this.#held.delete(scope);
  }

  #ask(scope: string): Promise<Held> {
    const asking =
      this.#asking.get(scope) ?? this.#request(scope).finally(() => this.#asking.delete(scope));
    this.#asking.set(scope, asking);
    return asking;
  }

  async #request(scope: string): Promise<Held> {
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      scope,
      client_id: this.options.clientId,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await this.#assertion(),
    });
    const askedAt = this.#clock.now();
    const endpoint = await this.#metadata.get("token_endpoint");
    const answer = await fetchJson(endpoint, { method: "POST", body });
    const { access_token: jwt, expires_in: seconds } = answer;
    if (typeof jwt !== "string") throw new Error(`${endpoint} gave no access token`);
    const lifeMs = (typeof seconds === "number" ? seconds : 60) * 1000;
    const refreshAt = askedAt + lifeMs * FRESH_PART;
    const held = { jwt, refreshAt, endAt: askedAt + lifeMs };
    this.#held.set(scope, held);
    return held;
  }

  async #assertion(): Promise<string> {
    const key = createPrivateKey(await readFile(this.options.keyFile));
    const alg = ALGORITHMS[key.asymmetricKeyType ?? ""];
    if (!alg) throw new Error(`${this.options.keyFile} holds no EC, Ed25519 or RSA key`);
    const now = this.#clock.now();
    return new SignJWT()
      .setProtectedHeader({ alg })
      .setIssuer(this.options.clientId)
      .setSubject(this.options.clientId)
      .setAudience(this.#metadata.issuer)
      .setJti(randomUUID())
      .setIssuedAt(new Date(now))
      .setExpirationTime(new Date(now + ASSERTION_MS))
      .sign(key);
  }
}
