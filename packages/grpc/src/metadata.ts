import { Metadata } from "@grpc/grpc-js";

/**
 * Copies grpc-js metadata into the `Headers` of Connect's API. Binary values (`-bin`) become
 * unpadded base64, as on the wire.
 */
export function toHeaders(metadata: Metadata): Headers {
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
