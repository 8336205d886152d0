/** Frame types (RFC 9113, section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags; ACK of SETTINGS and PING is the bit that END_STREAM is elsewhere. */
export const Flag = {
  END_STREAM: 0x1,
  ACK: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Identifiers of settings (RFC 9113, section 6.5.2). */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/** Bytes before the payload of every frame (RFC 9113, section 4.1). */
export const FRAME_HEADER_BYTES = 9;

/** Largest payload that either side may send unless it was told otherwise, and we tell nobody. */
export const MAX_FRAME_BYTES = 16_384;

/** Window of a stream and of the connection before anything changes it (RFC 9113, section 6.9.2). */
export const DEFAULT_WINDOW = 65_535;

/** Largest window (RFC 9113, section 6.9.1). */
export const MAX_WINDOW = 0x7fff_ffff;

/** What every client begins with (RFC 9113, section 3.4). */
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
