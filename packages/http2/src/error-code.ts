/** Error codes of RST_STREAM and GOAWAY (RFC 9113, section 7). */
export enum ErrorCode {
  NO_ERROR = 0,
  PROTOCOL_ERROR = 1,
  INTERNAL_ERROR = 2,
  FLOW_CONTROL_ERROR = 3,
  SETTINGS_TIMEOUT = 4,
  STREAM_CLOSED = 5,
  FRAME_SIZE_ERROR = 6,
  REFUSED_STREAM = 7,
  CANCEL = 8,
  COMPRESSION_ERROR = 9,
  ENHANCE_YOUR_CALM = 11,
}

/** Ends a connection with GOAWAY: the peer broke a rule, or a limit that holds for all of it. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
  readonly code: ErrorCode;
  /** What it is counted as. */
  readonly violation: Violation;

  constructor(code: ErrorCode, message: string, violation: Violation = "protocol") {
    super(message);
    this.code = code;
    this.violation = violation;
  }
}

/** Why a connection or stream was ended by this side. */
export type Violation =
  /** A rule of RFC 9113 or RFC 7541 was broken. */
  | "protocol"
  /** Too many PING frames. */
  | "ping"
  /** Too many SETTINGS frames. */
  | "settings"
  /** Too many frames that carry nothing: empty DATA, WINDOW_UPDATE, PRIORITY, unknown types. */
  | "idle_frames"
  /** Too many streams that the peer reset, or had this side reset. */
  | "resets"
  /** A header block that is too long, or in too many CONTINUATION frames. */
  | "header_block"
  /** More streams than the connection may have at once. */
  | "streams"
  /** Many bytes, and no request among them. */
  | "no_request"
  /** Replies that the peer does not read fill the connection's memory. */
  | "unread"
  /** The preface, or an answer to a keepalive PING, did not come in time. */
  | "silent";
