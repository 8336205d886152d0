import * as openid from "openid-client";
import {
  everyScope,
  type PersonName,
  type ProgramWithSecret,
  readSecrets,
  scopesOf,
} from "./accounts.js";

/** Where an issuer is, and where its secrets are. */
export interface IssuerPlace {
  url: string;
  folder: string;
}

/** Nobody listens there: the code is read off the address that a browser would be sent to. */
const CALLBACK = "http://127.0.0.1/callback";

/**
 * Logs a person in as a browser would, with code and PKCE, and gives the access token. It is good for
 * ten minutes. Rejects where the issuer says no.
 *
 * @example
 * const headers = { authorization: `Bearer ${await login(issuer, "ada")}` };
 */
export async function login({ url, folder }: IssuerPlace, name: PersonName): Promise<string> {
  const { passwords } = await readSecrets(folder);
  const client = await openid.discovery(new URL(url), "console", undefined, openid.None());
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const browser = new Browser();
  const start = openid.buildAuthorizationUrl(client, {
    redirect_uri: CALLBACK,
    // A token holds those that the person has.
    scope: ["openid", ...everyScope].join(" "),
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
  });
  const page = await browser.follow(start);
  const form = new URLSearchParams({ name, password: passwords[name] });
  const answer = await browser.follow(page, { method: "POST", body: form });
  const tokens = await openid.authorizationCodeGrant(client, answer, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  return tokens.access_token;
}

/** Gives a token of a program that shows a secret, with every scope that it may have. */
export async function clientToken(
  { url, folder }: IssuerPlace,
  name: ProgramWithSecret,
): Promise<string> {
  const { clientSecrets } = await readSecrets(folder);
  const client = await openid.discovery(
    new URL(url),
    name,
    undefined,
    openid.ClientSecretBasic(clientSecrets[name]),
  );
  const scope = scopesOf(name).join(" ");
  const { access_token } = await openid.clientCredentialsGrant(client, { scope });
  return access_token;
}

/** As much of a browser as a login takes: cookies, and redirects up to a page or the callback. */
class Browser {
  readonly #cookies = new Map<string, string>();

  /** The address of the page that is shown in the end. */
  async follow(address: URL, init: RequestInit = {}): Promise<URL> {
    const cookie = [...this.#cookies].map((pair) => pair.join("=")).join("; ");
    const response = await fetch(address, { ...init, headers: { cookie }, redirect: "manual" });
    for (const set of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      this.#cookies.set(name, value);
    }
    const next = response.headers.get("location");
    if (!next) {
      if (response.ok) return address;
      throw new Error(`The issuer answers a login with ${response.status}`);
    }
    const target = new URL(next, address);
    return target.href.startsWith(CALLBACK) ? target : this.follow(target);
  }
}
