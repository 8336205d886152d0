import { type IssuerPlace, readKeys, signingKeysFile } from "@emporium/local/test";
import { importJWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";

/** Signs tokens as an issuer does, with its very key, but says whatever a test wants. */
export async function signerOf({ issuer }: { issuer: IssuerPlace }) {
  const [jwk] = (await readKeys(signingKeysFile(issuer.folder))).keys;
  const key = await importJWK(jwk!, "ES256");
  const header = { alg: "ES256", typ: "at+jwt", kid: jwk!.kid! };
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer.url,
    aud: "emporium",
    sub: "17850",
    client_id: "console",
    scope: "orders.read orders.write",
    iat: now,
    exp: now + 600,
  };
  return {
    header,
    claims,
    jwk: jwk!,
    key,
    sign: (
      differing: { claims?: JWTPayload; header?: Partial<JWTHeaderParameters> } = {},
      signWith: Parameters<SignJWT["sign"]>[0] = key,
    ) =>
      new SignJWT({ ...claims, ...differing.claims })
        .setProtectedHeader({ ...header, ...differing.header })
        .sign(signWith, { crit: { "https://example.com/must": true } }),
  };
}
