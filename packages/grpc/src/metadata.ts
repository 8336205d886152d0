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
export function toMetadata(headers: Headers, into = new Metadata()): Metadata {
  for (const [name, value] of headers) {
    if (!name.endsWith("-bin")) into.add(name, value);
    else for (const part of value.split(",")) into.add(name, Buffer.from(part.trim(), "base64"));
  }
  return into;
}
