// The frames of the WebSocket bridge, in JSON and in binary (see README.md).
import {
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";

/** What a client sends. */
export type ClientFrame =
  | { kind: "headers"; headers: Record<string, string> }
  | { kind: "message"; message: Message }
  | { kind: "end" };

/** How frames are written and read. */
export interface FrameFormat {
  /** Throws where a frame is not understood. */
  read(method: DescMethod, data: Buffer, isBinary: boolean): ClientFrame;
  message(method: DescMethod, message: Message): string | Uint8Array;
  headers(headers: JsonObject): string | Uint8Array;
  status(status: JsonObject): string | Uint8Array;
}

/** One JSON object a frame. */
export const jsonFrames: FrameFormat = {
  read(method, data, isBinary) {
    if (isBinary) throw new TypeError("A frame of emporium.json is text");
    const frame = JSON.parse(data.toString()) as Record<string, JsonValue>;
    if (frame["end"] === true) return { kind: "end" };
    if (frame["headers"]) return headersFrame(frame["headers"]);
    if (frame["message"] === undefined) throw new TypeError("A frame has headers, message or end");
    return { kind: "message", message: fromJson(method.input, frame["message"]) };
  },
  message: ({ output }, message) =>
    JSON.stringify({ message: toJson(output, message, { alwaysEmitImplicit: true }) }),
  headers: (headers) => JSON.stringify({ headers }),
  status: (status) => JSON.stringify(status),
};

const [HEADERS, MESSAGE, END, STATUS] = [0, 1, 2, 3];

/** One byte for what a frame is, then the rest. */
export const binaryFrames: FrameFormat = {
  read(method, data, isBinary) {
    if (!isBinary) throw new TypeError("A frame of emporium.binary is binary");
    const rest = data.subarray(1);
    if (data[0] === END) return { kind: "end" };
    if (data[0] === HEADERS) return headersFrame(JSON.parse(rest.toString()) as JsonValue);
    if (data[0] !== MESSAGE) throw new TypeError("The first byte of a frame is 0, 1 or 2");
    return { kind: "message", message: fromBinary(method.input, rest) };
  },
  message: ({ output }, message) => tagged(MESSAGE, toBinary(output, message)),
  headers: (headers) => tagged(HEADERS, Buffer.from(JSON.stringify(headers))),
  status: (status) => tagged(STATUS, Buffer.from(JSON.stringify(status))),
};

function headersFrame(json: JsonValue): ClientFrame {
  const isText = (value: JsonValue) => typeof value === "string";
  if (typeof json !== "object" || json === null || !Object.values(json).every(isText))
    throw new TypeError("Headers are an object of texts");
  return { kind: "headers", headers: json as Record<string, string> };
}

function tagged(tag: number, rest: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(tag), rest]);
}
