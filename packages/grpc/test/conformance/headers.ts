import { create } from "@bufbuild/protobuf";
import { type Header, HeaderSchema } from "../generated/connectrpc/conformance/v1/service_pb.js";

/** Headers as the suite writes them, from those of Connect's API. */
export function toSuite(headers: Headers): Header[] {
  return [...headers].map(([name, value]) =>
    create(HeaderSchema, { name, value: value.split(", ") }),
  );
}

/** Adds the suite's headers to those of Connect's API. */
export function addTo(headers: Headers, added: Header[] = []): Headers {
  for (const { name, value } of added) for (const each of value) headers.append(name, each);
  return headers;
}
