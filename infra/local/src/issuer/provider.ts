import {
  Provider,
  interactionPolicy,
  type Configuration,
  type KoaContextWithOIDC,
} from "oidc-provider";
import type { IssuerSettings } from "./issuer-settings.ts";
import { readKeys } from "./signing-keys.ts";

/** Seconds that an access token is good for; the people's login outlives it. */
const ACCESS_TOKEN_S = 10 * 60;
const LOGIN_S = 8 * 60 * 60;

/** What access tokens are for, as a resource indicator (RFC 8707); nobody has to name it. */
const RESOURCE = "urn:emporium:shop";

/** An OIDC provider with the keys that its file holds now. */
export async function createProvider(settings: IssuerSettings): Promise<Provider> {
  const jwks = await readKeys(settings.keysFile);
  return new Provider(settings.issuer, {
    ...whoIsThere(settings),
    ...howTheyLogIn(settings),
    jwks,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, __, client) => ({
          // No more than the client itself may ask for.
          scope: client.scope ?? "",
          audience: settings.audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: ACCESS_TOKEN_S,
          jwt: { sign: { alg: "ES256", kid: jwks.keys[0]?.kid } },
        }),
      },
    },
  });
}

function whoIsThere({ programs, people, scopes }: IssuerSettings): Configuration {
  return {
    clients: programs,
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    scopes: ["openid", ...scopes],
    findAccount: (_, subject) =>
      people.some((person) => person.subject === subject)
        ? { accountId: subject, claims: () => ({ sub: subject }) }
        : undefined,
  };
}

function howTheyLogIn({ cookieKey, people }: IssuerSettings): Configuration {
  const policy = interactionPolicy.base();
  // The clients are the shop's own: nobody is asked whether they may act for him.
  policy.remove("consent");
  return {
    cookies: { keys: [cookieKey] },
    pkce: { required: () => true },
    interactions: { policy, url: (_, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: (context) => grantTo(context, people),
    ttl: { Interaction: 600, Session: LOGIN_S, Grant: LOGIN_S, AuthorizationCode: 60 },
  };
}

/** A token allows what both the client and the person may do. */
async function grantTo({ oidc }: KoaContextWithOIDC, people: IssuerSettings["people"]) {
  const accountId = oidc.session?.accountId;
  const person = people.find(({ subject }) => subject === accountId);
  if (!person || !oidc.client) return undefined;
  const grant = new oidc.provider.Grant({
    accountId: person.subject,
    clientId: oidc.client.clientId,
  });
  grant.addOIDCScope("openid");
  grant.addResourceScope(RESOURCE, person.scopes.join(" "));
  await grant.save();
  return grant;
}
