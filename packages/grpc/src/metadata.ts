import { Metadata } from "@grpc/grpc-js";
import type { ReadableMetadata } from "./wire/request-metadata.js";

/**
 * Copies grpc-js metadata into the `Headers` of Connect's API. Binary values (`-bin`) become
 * unpadded base64, as on the wire.
 */
export function toHeaders(metadata: Pick<Metadata, "toHttp2Headers"> | ReadableMetadata): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(metadata.toHttp2Headers())) {
    if (name.startsWith(":") || values === undefined) continue;
    for (const value of Array.isArray(values) ? values : [values])
      headers.append(name, String(value));
  }
  return headers;
}

/** Copies `Headers` into grpc-js metadata; `-bin` values are decoded from base64. */
export function toMetadata(headers: Headers, into: Metadata = new WireMetadata()): Metadata {
  for (const [name, value] of headers) {
    if (!name.endsWith("-bin")) into.add(name, value);
    else for (const part of value.split(",")) into.add(name, Buffer.from(part.trim(), "base64"));
  }
  return into;
}

/** Headers of the connection, of the transport, and what gRPC itself says with them. */
const RESERVED =
  /^(:.*|grpc-.*|connection|keep-alive|proxy-connection|transfer-encoding|upgrade|te|host|content-length|content-type)$/;

/** Names as grpc-js takes them. */
const NAME = /^[0-9a-z_.-]+$/;

/** Values of gRPC's `ASCII-Value`; anything else ends the stream in HTTP/2. */
const VALUE = /^[\x20-\x7e]*$/;

/** Push-back to a client's retries (gRFC A6): the one header of gRPC's own that a server may set. */
const PUSHBACK = "grpc-retry-pushback-ms";

/**
 * Copies what a server wants to send into grpc-js metadata, as much of it as can be sent: no reserved
 * name, no value that HTTP/2 refuses, and no more than `maxBytes` as HTTP/2 counts them (RFC 9113,
 * 6.5.2). Calls `onDropped` with the name of everything that is left out.
 */
export function toSendableMetadata(
  headers: Headers,
  { maxBytes, onDropped }: { maxBytes: number; onDropped: (name: string) => void },
  into: Metadata = new WireMetadata(),
): Metadata {
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += name.length + value.length + 32;
    const isAllowed = name === PUSHBACK || (NAME.test(name) && !RESERVED.test(name));
    if (!isAllowed || !VALUE.test(value) || bytes > maxBytes) onDropped(name);
    else toMetadata(new Headers([[name, value]]), into);
  }
  return into;
}

/**
 * Metadata that writes binary values as base64 without padding, as gRPC asks of those who send
 * (PROTOCOL-HTTP2, "Custom-Metadata"); grpc-js pads them.
 */
class WireMetadata extends Metadata {
  override clone(): Metadata {
    const copy = new WireMetadata(this.getOptions());
    copy.merge(this);
    return copy;
  }

  override toHttp2Headers() {
    const headers = super.toHttp2Headers();
    for (const name in headers) {
      if (!name.endsWith("-bin")) continue;
      const value = headers[name];
      headers[name] = Array.isArray(value) ? value.map(unpadded) : unpadded(String(value));
    }
    return headers;
  }
}

const unpadded = (base64: string) => base64.replace(/=+$/, "");
