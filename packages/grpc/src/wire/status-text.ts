/**
 * Cuts an error's text to what its `grpc-message` header may take, in bytes as they go over the wire
 * (gRPC, PROTOCOL-HTTP2, "Percent-Encoded"): a character outside of ASCII takes up to 12 of them. A lone
 * surrogate, which cannot be encoded, becomes U+FFFD; no character is cut in two.
 *
 * @example
 * fitText("漢".repeat(1000), 1024); // 113 characters and "…"
 */
export function fitText(text: string, maxBytes: number): string {
  // Nothing is escaped to less than one byte, so the rest need not be looked at.
  const start = text.slice(0, maxBytes + 1).toWellFormed();
  if (text.length <= maxBytes && encodedLength(start) <= maxBytes) return start;
  const room = maxBytes - encodedLength(ELLIPSIS);
  let end = 0;
  let bytes = 0;
  for (const character of start) {
    bytes += encodedLength(character);
    if (bytes > room) break;
    end += character.length;
  }
  return start.slice(0, end) + ELLIPSIS;
}

const ELLIPSIS = "…";

/** `encodeURI` is how grpc-js escapes the header; it escapes a little more than gRPC asks for. */
function encodedLength(text: string): number {
  return encodeURI(text).length;
}
