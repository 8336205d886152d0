import { ConnectionError, ErrorCode } from "../error-code.js";

/**
 * Bits of the code of each octet, and of EOS (RFC 7541, appendix B). The code is canonical: codes of
 * one length count up in the order of their octets, so the lengths say all of it.
 */
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const EOS = 256;

/*
 * The decoder reads four bits at a time. No code is shorter than five, so four bits end at most one.
 * An entry holds the next node, and the octet that ended, if one did.
 */
const EMITS = 0x100;
const FAILS = 0x200;

interface Node {
  children: [number, number];
}

/** Inner nodes of the code's tree; a child below zero is the octet `-child - 1`. */
function treeOf(lengths: readonly number[]): Node[] {
  const nodes: Node[] = [{ children: [0, 0] }];
  const symbols = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  let code = -1;
  let before = lengths[symbols[0]!]!;
  for (const symbol of symbols) {
    const length = lengths[symbol]!;
    code = (code + 1) * 2 ** (length - before);
    before = length;
    let at = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = Math.floor(code / 2 ** bit) & 1;
      let next = nodes[at]!.children[side]!;
      if (next === 0) {
        next = nodes.push({ children: [0, 0] }) - 1;
        nodes[at]!.children[side] = next;
      }
      at = next;
    }
    nodes[at]!.children[code & 1] = -symbol - 1;
  }
  return nodes;
}

/** For each node and four bits: the next node in the high half, octet and marks in the low one. */
function tableOf(nodes: readonly Node[]): Uint32Array {
  const table = new Uint32Array(nodes.length * 16);
  for (let start = 0; start < nodes.length; start++)
    for (let bits = 0; bits < 16; bits++) {
      let at = start;
      let mark = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = nodes[at]!.children[(bits >> bit) & 1]!;
        if (next === -EOS - 1) mark = FAILS;
        else if (next < 0) mark = EMITS | (-next - 1);
        at = next < 0 ? 0 : next;
      }
      table[start * 16 + bits] = (at << 16) | mark;
    }
  return table;
}

const tree = treeOf(LENGTHS);
const table = tableOf(tree);

/** Whether a text may end here: after up to seven ones, which are the beginning of EOS (section 5.2). */
const mayEnd = tree.map(() => false);
for (let at = 0, ones = 0; ones <= 7; ones++) {
  mayEnd[at] = true;
  at = tree[at]!.children[1];
}

let scratch = Buffer.allocUnsafeSlow(1024);

/**
 * Decodes a Huffman-coded text (RFC 7541, section 5.2), one character for each octet. Throws
 * COMPRESSION_ERROR for EOS inside of it, and for padding that is too long or not of ones.
 */
export function decodeHuffman(buf: Buffer, start: number, end: number): string {
  // Codes are of five bits and more.
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(2 * most);
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = buf[at]!;
    const high = table[node * 16 + (byte >> 4)]!;
    if (high & EMITS) scratch[length++] = high;
    const low = table[(high >>> 16) * 16 + (byte & 15)]!;
    if (low & EMITS) scratch[length++] = low;
    if ((high | low) & FAILS) throw invalid("EOS in a text");
    node = low >>> 16;
  }
  if (!mayEnd[node]) throw invalid("a text is padded wrongly");
  return scratch.toString("latin1", 0, length);
}

function invalid(what: string): ConnectionError {
  return new ConnectionError(ErrorCode.COMPRESSION_ERROR, `HPACK: ${what}`);
}
