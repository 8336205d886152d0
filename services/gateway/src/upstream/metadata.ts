// Which headers are metadata of a call, in both directions.
import type { IncomingHttpHeaders } from "node:http";

/** Headers of HTTP, of the browser and of the protocols themselves: they end at the gateway. */
const OF_ONE_HOP =
  /^(:.*|accept(-.*)?|age|cache-control|connect-.*|connection|content-.*|cookie|date|dnt|expect|forwarded|grpc-.*|host|http2-settings|idempotency-key|if-.*|keep-alive|last-event-id|origin|pragma|priority|proxy-.*|range|referer|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade(-.*)?|user-agent|via|x-forwarded-.*|x-real-ip)$/;

/**
 * The metadata among the headers of a request or a response, unchanged.
 *
 * @example
 * metadataOf(new Headers({ host: "shop", "x-tenant": "a" })); // x-tenant: a
 */
export function metadataOf(headers: Headers | IncomingHttpHeaders): Headers {
  const metadata = new Headers();
  const entries = headers instanceof Headers ? headers : Object.entries(headers);
  for (const [name, value] of entries) {
    if (value === undefined || OF_ONE_HOP.test(name)) continue;
    for (const one of Array.isArray(value) ? value : [value]) metadata.append(name, one);
  }
  return metadata;
}

/** Adds the metadata of one set of headers to another. */
export function addMetadata(from: Headers, to: Headers): void {
  metadataOf(from).forEach((value, name) => to.append(name, value));
}
