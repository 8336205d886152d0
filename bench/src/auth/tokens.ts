import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { TokenVerifier } from "@emporium/identity";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Bench, cpuRatio, median, ratio, shown } from "../ratios.js";

/** Microseconds of CPU time that a token may take that was seen before. */
const WANTED_MICROS = 5;

/** As many tokens take turns as customers do: strings of their own, as each call brings one. */
const CUSTOMERS = 500;

/** What a token costs a call: one that was verified before, and one that was not. */
export const benchTokens: Bench = async ({ quick, progress }) => {
  const rounds = quick ? 2 : 7;
  await using issuer = await startIssuer();
  using verifier = new TokenVerifier({ issuer: issuer.url, audience: "emporium" });
  await verifier.ready();
  const [known, anew]: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    const tokens = await Promise.all(Array.from({ length: CUSTOMERS }, issuer.sign));
    const first = await microsPerToken(verifier, tokens, 1);
    const again = await microsPerToken(verifier, tokens, quick ? 20 : 200);
    // The first round warms up.
    if (round >= 0) anew.push(first);
    if (round >= 0) known.push(again);
    progress(`tokens: round ${round + 1} of ${rounds}`);
  }
  const compared = cpuRatio(anew, known);
  const text = [
    `CPU time of a token; Node ${process.version}`,
    `  seen before     ${median(known).toFixed(2)} us, wanted under ${WANTED_MICROS}`,
    `  seen first      ${median(anew).toFixed(1)} us (ES256)`,
    `  first over seen ${shown(compared)}`,
  ].join("\n");
  const ratios = {
    "a token seen first over one seen before": compared,
    "5 us over a token seen before": ratio(
      known.map(() => WANTED_MICROS),
      known,
      1,
    ),
  };
  return { text, data: { ratios, node: process.version } };
};

async function microsPerToken(
  verifier: TokenVerifier,
  tokens: string[],
  times: number,
): Promise<number> {
  const start = process.cpuUsage();
  for (let time = 0; time < times; time++)
    // Copied, as each call's header is: its hash is not known yet.
    for (const token of tokens) await verifier.verify(Buffer.from(token).toString("latin1"));
  const { system, user } = process.cpuUsage(start);
  return (system + user) / tokens.length / times;
}

async function startIssuer() {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "bench", alg: "ES256" }];
  const server = createServer((request, response) => {
    const isKeys = request.url === "/keys";
    response.end(JSON.stringify(isKeys ? { keys } : { issuer: url, jwks_uri: `${url}/keys` }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sign = () =>
    new SignJWT({
      client_id: "console",
      scope: "orders.read orders.write",
      jti: crypto.randomUUID(),
    })
      .setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid: "bench" })
      .setIssuer(url)
      .setAudience("emporium")
      .setSubject("17850")
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(privateKey);
  return {
    url,
    sign,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
