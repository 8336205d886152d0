import encoding from "k6/encoding";
import http from "k6/http";
import { settings } from "./settings.ts";

/** Seconds before its end at which a token is no longer used. */
const MARGIN_S = 30;

let token = "";
let renewAt = 0;

/**
 * A token of the load test's own by client_credentials (RFC 6749, 4.4), renewed before it ends: long
 * runs outlive their tokens. Each virtual user has its own.
 */
export function authorization(): Record<string, string> {
  if (!settings.tokenUrl) return {};
  if (Date.now() >= renewAt) {
    const { tokenUrl, clientId, clientSecret, scope } = settings;
    const credentials = encoding.b64encode(`${clientId}:${clientSecret}`);
    const answer = http.post(
      tokenUrl,
      { grant_type: "client_credentials", scope },
      { headers: { authorization: `Basic ${credentials}` }, tags: { rpc: "token" } },
    );
    if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.status_text}`);
    const { access_token, expires_in } = answer.json() as {
      access_token: string;
      expires_in: number;
    };
    token = access_token;
    renewAt = Date.now() + (expires_in - MARGIN_S) * 1000;
  }
  return { authorization: `Bearer ${token}` };
}
