/** Milliseconds that an issuer has to answer. */
const ANSWER_MS = 5_000;

/**
 * What an issuer says about itself (OpenID Connect Discovery 1.0, section 4), asked for when it is
 * needed first.
 */
export class IssuerMetadata {
  #found: Record<string, unknown> | undefined;

  constructor(readonly issuer: string) {
    checkTransport(issuer);
  }

  /** The address that the issuer gives for something, such as `jwks_uri`. */
  async get(name: "jwks_uri" | "token_endpoint"): Promise<string> {
    this.#found ??= await this.#discover();
    const address = this.#found[name];
    if (typeof address !== "string") throw new Error(`${this.issuer} gives no ${name}`);
    checkTransport(address);
    return address;
  }

  async #discover(): Promise<Record<string, unknown>> {
    const where = `${this.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const found = await fetchJson(where);
    // Else whoever answers there could give keys for another issuer's tokens (Discovery, 4.3).
    if (found["issuer"] !== this.issuer)
      throw new Error(`${where} speaks for ${JSON.stringify(found["issuer"])}`);
    return found;
  }
}

/** The issuer does not answer, or not now. */
export class IssuerAway extends Error {
  override name = "IssuerAway";
}

/**
 * Reads a JSON object. Rejects with `IssuerAway` where nobody answers or the server is in trouble, and
 * with an `Error` where anything else but 200 and an object comes back.
 */
export async function fetchJson(
  address: string,
  init: RequestInit = {},
): Promise<Record<string, unknown>> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(address, { redirect: "error", signal, ...init }).catch(
    (cause: unknown) => {
      throw new IssuerAway(`${address} does not answer`, { cause });
    },
  );
  const body: unknown = await response.json().catch(() => undefined);
  if (response.status === 200 && body !== null && typeof body === "object")
    return body as Record<string, unknown>;
  const Failure = response.status >= 500 ? IssuerAway : Error;
  throw new Failure(`${address} answers ${response.status}${codeIn(body)}`);
}

/** The `error` of OAuth 2.0 (RFC 6749, 5.2), which is a code and holds no secret. */
function codeIn(body: unknown): string {
  const code = (body as { error?: unknown } | undefined)?.error;
  return typeof code === "string" ? ` ${code}` : "";
}

/** Keys and secrets travel over TLS; within one machine there is nobody between. */
function checkTransport(address: string): void {
  const { protocol, hostname } = new URL(address);
  const isLoopback = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
  if (protocol === "https:" || (protocol === "http:" && isLoopback)) return;
  throw new Error(`${address} is neither https nor on this machine`);
}
