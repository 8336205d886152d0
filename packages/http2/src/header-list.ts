import { FieldKind, type HeaderField } from "./hpack/header-field.js";
import type { FieldSink } from "./hpack/decoder.js";

/** Pseudo-header fields that every request must have once (RFC 9113, 8.3.1). */
const METHOD = 1;
const SCHEME = 2;
const PATH = 4;
const AUTHORITY = 8;
const REQUIRED = METHOD | SCHEME | PATH;

/**
 * The header list of one request, or its trailers. What gRPC looks at is taken out as it is read; the
 * rest stays as it came, shared with the connection's table.
 */
export class HeaderList implements FieldSink {
  path = "";
  method = "";
  authority = "";
  contentType = "";
  /** The value of `grpc-timeout`, as it came. */
  timeout = "";
  encoding = "";
  acceptEncoding = "";
  /** -1 where it was not given. */
  contentLength = -1;
  /** Fields that are not pseudo-header fields and stand in none of the properties above. */
  readonly fields: HeaderField[] = [];
  /** As RFC 9113 (6.5.2) counts it. */
  size = 0;
  isMalformed = false;
  /** It has more than the limit; what came after is not kept. */
  isTooLarge = false;
  #seen = 0;
  #hasRegular = false;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether it can be a request. */
  get isRequest(): boolean {
    return !this.isMalformed && (this.#seen & REQUIRED) === REQUIRED;
  }

  /** Whether it can be trailers, which have no pseudo-header fields (section 8.1). */
  get isTrailers(): boolean {
    return !this.isMalformed && this.#seen === 0;
  }

  addField(field: HeaderField): void {
    this.size += field.size;
    if (this.size > this.#maxBytes) {
      this.isTooLarge = true;
      return;
    }
    const { value } = field;
    switch (field.kind) {
      case FieldKind.PATH:
        this.path = value;
        return this.#addPseudo(PATH, value);
      case FieldKind.METHOD:
        this.method = value;
        return this.#addPseudo(METHOD, value);
      case FieldKind.SCHEME:
        return this.#addPseudo(SCHEME, value);
      case FieldKind.AUTHORITY:
        this.authority = value;
        return this.#addPseudo(AUTHORITY, value);
      case FieldKind.INVALID:
        this.isMalformed = true;
        return;
      case FieldKind.TIMEOUT:
        this.timeout = value;
        break;
      case FieldKind.CONTENT_TYPE:
        this.contentType = value;
        break;
      case FieldKind.CONTENT_LENGTH:
        this.contentLength = /^\d{1,15}$/.test(value) ? Number(value) : this.#malformed();
        break;
      case FieldKind.ENCODING:
        this.encoding = value;
        break;
      case FieldKind.ACCEPT_ENCODING:
        this.acceptEncoding = value;
        break;
      case FieldKind.TE:
        break;
      default:
        this.fields.push(field);
    }
    this.#hasRegular = true;
  }

  /** Section 8.3: before all others, each once, and not empty. */
  #addPseudo(bit: number, value: string): void {
    if (this.#hasRegular || this.#seen & bit || value === "") this.isMalformed = true;
    this.#seen |= bit;
  }

  #malformed(): number {
    this.isMalformed = true;
    return -1;
  }
}
