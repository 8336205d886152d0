import type { Http2Connection } from "./connection.js";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { FrameType } from "./frame.js";
import type { Http2Stream } from "./stream.js";

/** Resets a stream for what its peer did, and tells the stream. */
export function refuseStream(
  connection: Http2Connection,
  stream: Http2Stream,
  code: ErrorCode,
): void {
  connection.meter.reset();
  connection.owner.onStreamRefused("protocol", `A stream is reset: ${ErrorCode[code]}`);
  stream.reset(code);
  stream.onReset();
}

export function resetUnopened(
  connection: Http2Connection,
  id: number,
  code: ErrorCode,
  isEnd: boolean,
): void {
  const { meter, writer, endedEarly } = connection;
  meter.reset();
  if (!isEnd) endedEarly.add(id);
  writer.numbers(FrameType.RST_STREAM, 0, id, code);
}

export function broken(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

export function wrongSize(): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A frame has the wrong size");
}

export function windowTooLarge(): ConnectionError {
  return new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "A window is too large");
}
