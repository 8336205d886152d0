/** What a field means to a server of gRPC: what is looked at by name, once, when it is first seen. */
export enum FieldKind {
  /** Malformed, or forbidden in HTTP/2 (RFC 9113, sections 8.2 and 8.3). */
  INVALID = -1,
  OTHER = 0,
  PATH,
  METHOD,
  SCHEME,
  AUTHORITY,
  TIMEOUT,
  CONTENT_TYPE,
  CONTENT_LENGTH,
  ENCODING,
  ACCEPT_ENCODING,
  TE,
}

const kinds = new Map<string, FieldKind>([
  [":path", FieldKind.PATH],
  [":method", FieldKind.METHOD],
  [":scheme", FieldKind.SCHEME],
  [":authority", FieldKind.AUTHORITY],
  ["grpc-timeout", FieldKind.TIMEOUT],
  ["content-type", FieldKind.CONTENT_TYPE],
  ["content-length", FieldKind.CONTENT_LENGTH],
  ["grpc-encoding", FieldKind.ENCODING],
  ["grpc-accept-encoding", FieldKind.ACCEPT_ENCODING],
  ["te", FieldKind.TE],
  ["connection", FieldKind.INVALID],
  ["keep-alive", FieldKind.INVALID],
  ["proxy-connection", FieldKind.INVALID],
  ["transfer-encoding", FieldKind.INVALID],
  ["upgrade", FieldKind.INVALID],
]);

/** Names in lower case without a colon; pseudo-header fields are those of `kinds` (RFC 9113, 8.2.1). */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** No NUL, CR or LF anywhere, no space at either end (RFC 9113, 8.2.1). */
// oxlint-disable-next-line no-control-regex
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;

/** A header field, in a table or on its own; shared by all header lists that refer to it. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** As RFC 7541 (4.1) counts it. */
  readonly size: number;
  readonly kind: FieldKind;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + 32;
    this.kind = kindOf(name, value);
  }
}

function kindOf(name: string, value: string): FieldKind {
  if (BAD_VALUE.test(value)) return FieldKind.INVALID;
  const kind = kinds.get(name);
  if (kind === undefined) return NAME.test(name) ? FieldKind.OTHER : FieldKind.INVALID;
  // Section 8.2.2: TE may say nothing else.
  return kind === FieldKind.TE && value !== "trailers" ? FieldKind.INVALID : kind;
}
