export { Http2Connection, type ConnectionOwner } from "./connection.js";
export { ErrorCode, type Violation } from "./error-code.js";
export type { HeaderList } from "./header-list.js";
export { HpackDecoder, type FieldSink } from "./hpack/decoder.js";
export { HpackEncoder } from "./hpack/encoder.js";
export { HeaderField } from "./hpack/header-field.js";
export { indexedField, ReplyField } from "./hpack/reply-field.js";
export { defaultHttp2Limits, type Http2Limits } from "./limits.js";
export { type Chunk, Http2Stream } from "./stream.js";
