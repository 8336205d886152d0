import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

/** An issuer's public side, which a test may change, watch and take away. */
export class PublishedKeys implements AsyncDisposable {
  /** How often the keys were fetched. */
  fetches = 0;
  /** Answers 503 while it is set. */
  away = false;
  readonly #published: JWK[] = [];
  readonly #private = new Map<string, CryptoKey>();
  readonly #server = createServer((request, response) => {
    const isDiscovery = request.url === "/.well-known/openid-configuration";
    if (!isDiscovery) this.fetches += 1;
    response.statusCode = this.away ? 503 : 200;
    const document = { issuer: this.issuer, jwks_uri: `${this.issuer}/keys` };
    response.end(JSON.stringify(isDiscovery ? document : { keys: this.#published }));
  });

  static async start(): Promise<PublishedKeys> {
    const keys = new PublishedKeys();
    keys.#server.listen(0, "127.0.0.1");
    await once(keys.#server, "listening");
    return keys;
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async add(kid: string): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair("ES256");
    this.#private.set(kid, privateKey);
    this.#published.push({ ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" });
  }

  remove(kid: string): void {
    this.#published.splice(
      this.#published.findIndex((key) => key.kid === kid),
      1,
    );
  }

  /** A token of a key that is, or was, among them; under another key's name where one is given. */
  sign(kid: string, named = kid): Promise<string> {
    return new SignJWT({ client_id: "console", jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: named })
      .setIssuer(this.issuer)
      .setAudience("emporium")
      .setSubject("17850")
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(this.#private.get(kid)!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
