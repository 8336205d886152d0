import type { Http2Connection } from "./connection.js";
import { ConnectionError, ErrorCode } from "./error-code.js";
import { Flag, FrameType, MAX_WINDOW, Setting } from "./frame.js";
import { answerPing } from "./liveness.js";
import { broken, refuseStream, resetUnopened, windowTooLarge, wrongSize } from "./violations.js";

/*
 * The frames that carry neither headers nor data (RFC 9113, section 6). Each throws a ConnectionError for
 * what ends the connection.
 */

/** 32 settings a frame: each may touch every stream (CVE-2020-11080). */
const MAX_SETTINGS_BYTES = 32 * 6;

/** Section 6.4. */
export function onReset(connection: Http2Connection, length: number, id: number): void {
  if (id === 0 || id > connection.lastStream)
    throw broken("RST_STREAM of a stream that is not open");
  if (length !== 4) throw wrongSize();
  connection.meter.reset();
  connection.endedEarly.delete(id);
  const stream = connection.streams.get(id);
  if (stream === undefined) return;
  stream.isRemoteClosed = true;
  connection.closeStream(stream);
  stream.onReset();
}

/** Section 6.5. */
export function onSettings(
  connection: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if (id !== 0) throw broken("SETTINGS of a stream");
  if (flags & Flag.ACK) {
    if (start !== end) throw wrongSize();
    return connection.meter.settings();
  }
  if ((end - start) % 6 !== 0) throw wrongSize();
  connection.meter.settings();
  if (end - start > MAX_SETTINGS_BYTES)
    throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "Too many settings", "settings");
  for (let at = start; at < end; at += 6)
    setting(connection, buf.readUInt16BE(at), buf.readUInt32BE(at + 2));
  connection.writer.bytes(FrameType.SETTINGS, Flag.ACK, 0, new Uint8Array(0));
  connection.sendWaiting();
}

function setting(connection: Http2Connection, identifier: number, value: number): void {
  switch (identifier) {
    case Setting.HEADER_TABLE_SIZE:
      return connection.encoder.setMaxTableSize(value);
    case Setting.ENABLE_PUSH:
      if (value > 1) throw broken("ENABLE_PUSH is neither 0 nor 1");
      return;
    case Setting.MAX_FRAME_SIZE:
      if (value < 16_384 || value > 16_777_215) throw broken("MAX_FRAME_SIZE is out of range");
      return;
    case Setting.INITIAL_WINDOW_SIZE: {
      // Section 6.9.2: it changes the windows of streams that are open.
      if (value > MAX_WINDOW) throw windowTooLarge();
      const change = value - connection.initialSendWindow;
      connection.initialSendWindow = value;
      for (const stream of connection.streams.values()) {
        stream.sendWindow += change;
        if (stream.sendWindow > MAX_WINDOW) throw windowTooLarge();
      }
      return;
    }
    default:
  }
}

/** Section 6.7. */
export function onPing(
  connection: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): void {
  if (id !== 0) throw broken("PING of a stream");
  if (end - start !== 8) throw wrongSize();
  connection.meter.ping();
  const payload = buf.subarray(start, end);
  if (flags & Flag.ACK) connection.liveness.onPingAck(payload);
  else answerPing(connection, payload);
}

/** Section 6.9. */
export function onWindowUpdate(
  connection: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  id: number,
): void {
  if (end - start !== 4) throw wrongSize();
  const change = buf.readUInt32BE(start) & MAX_WINDOW;
  connection.meter.idleFrame();
  if (id === 0) {
    if (change === 0) throw broken("WINDOW_UPDATE by 0");
    connection.sendWindow += change;
    if (connection.sendWindow > MAX_WINDOW) throw windowTooLarge();
    return connection.sendWaiting();
  }
  if (id > connection.lastStream) throw broken("WINDOW_UPDATE of a stream that is not open");
  const stream = connection.streams.get(id);
  if (stream === undefined) {
    if (change === 0) resetUnopened(connection, id, ErrorCode.PROTOCOL_ERROR, true);
    return;
  }
  if (change === 0) return refuseStream(connection, stream, ErrorCode.PROTOCOL_ERROR);
  stream.sendWindow += change;
  if (stream.sendWindow > MAX_WINDOW)
    return refuseStream(connection, stream, ErrorCode.FLOW_CONTROL_ERROR);
  while (stream.sendWaiting());
}

/** Section 5.3.2: priorities are deprecated; only their form is checked. */
export function onPriority(
  connection: Http2Connection,
  buf: Buffer,
  start: number,
  end: number,
  id: number,
): void {
  if (id === 0) throw broken("PRIORITY of no stream");
  connection.meter.idleFrame();
  if (end - start === 5 && (buf.readUInt32BE(start) & MAX_WINDOW) !== id) return;
  const code = end - start === 5 ? ErrorCode.PROTOCOL_ERROR : ErrorCode.FRAME_SIZE_ERROR;
  const stream = connection.streams.get(id);
  if (stream !== undefined) refuseStream(connection, stream, code);
  else resetUnopened(connection, id, code, true);
}
