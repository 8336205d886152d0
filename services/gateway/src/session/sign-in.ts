import * as openid from "openid-client";

/** How people sign in. */
export interface SignInOptions {
  /** URL of the OpenID Connect issuer. */
  issuer: string;
  /** The gateway's client there: a public one, which proves itself by PKCE. */
  clientId: string;
  /** What a token may allow; it holds those that the person has. */
  scopes: readonly string[];
}

/** What the gateway remembers while somebody is at the issuer. */
export interface PendingSignIn {
  state: string;
  verifier: string;
  /** The page to show afterwards; a path of this gateway. */
  returnTo: string;
}

/** Who has signed in. */
export interface Session {
  token: string;
  customer: string;
  scopes: string[];
  /** Seconds since the epoch. */
  expires: number;
}

/** Signs people in with code and PKCE (RFC 9700, 2.1.1) at any OpenID Connect issuer. */
export class SignIn {
  readonly #options: SignInOptions;
  #issuer: Promise<openid.Configuration> | undefined;

  constructor(options: SignInOptions) {
    this.#options = options;
  }

  /** Where to send the browser, and what to remember until it is back. */
  async begin(redirectUri: string, returnTo: string): Promise<[url: URL, pending: PendingSignIn]> {
    const issuer = await this.#discover();
    const verifier = openid.randomPKCECodeVerifier();
    const state = openid.randomState();
    const url = openid.buildAuthorizationUrl(issuer, {
      redirect_uri: redirectUri,
      scope: ["openid", ...this.#options.scopes].join(" "),
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
    });
    return [url, { state, verifier, returnTo }];
  }

  /** The session that a callback brings. Rejects for a code or state that is not of this sign-in. */
  async finish(callback: URL, { state, verifier }: PendingSignIn): Promise<Session> {
    const tokens = await openid.authorizationCodeGrant(await this.#discover(), callback, {
      pkceCodeVerifier: verifier,
      expectedState: state,
    });
    return {
      token: tokens.access_token,
      customer: tokens.claims()?.sub ?? "",
      scopes: tokens.scope?.split(" ").filter((scope) => scope !== "openid") ?? [],
      expires: Math.floor(Date.now() / 1000) + (tokens.expires_in ?? 600),
    };
  }

  /** The issuer may come later than the gateway. */
  #discover(): Promise<openid.Configuration> {
    const { issuer, clientId } = this.#options;
    this.#issuer ??= openid.discovery(new URL(issuer), clientId, undefined, openid.None());
    this.#issuer.catch(() => (this.#issuer = undefined));
    return this.#issuer;
  }
}
