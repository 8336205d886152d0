import type { HeaderField } from "@emporium/http2";
import type { MetadataValue } from "@grpc/grpc-js";

/** What the engine reads of a request's metadata. grpc-js's `Metadata` fits as well. */
export interface ReadableMetadata {
  get(name: string): MetadataValue[];
  toHttp2Headers(): Record<string, unknown>;
}

/** The metadata of a request as it came; values are read when somebody asks for them. */
export class RequestMetadata implements ReadableMetadata {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  /** The values of a name; those of `-bin` names decoded, also where one field lists several. */
  get(name: string): MetadataValue[] {
    const values: MetadataValue[] = [];
    for (const field of this.#fields) {
      if (field.name !== name) continue;
      if (!name.endsWith("-bin")) values.push(field.value);
      else
        for (const part of field.value.split(",")) values.push(Buffer.from(part.trim(), "base64"));
    }
    return values;
  }

  toHttp2Headers(): Record<string, string[]> {
    const headers: Record<string, string[]> = {};
    for (const { name, value } of this.#fields) (headers[name] ??= []).push(value);
    return headers;
  }
}
