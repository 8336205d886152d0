import type { Ratio } from "../ratios.js";
import { digits } from "./page.js";

const [ROW, PLOT, RIGHT, TOP] = [24, 360, 70, 34];
/** Width of a letter, about, at the size of the text. */
const LETTER = 6.4;

/** Colours for light and for dark; the ground is painted, since a page need not be what the system is. */
const style = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .ground { fill: #ffffff } .line { stroke: #d0d7de } .one { stroke: #59636e }
  .kept { fill: #1a7f37 } .missed { fill: #bc4c00 } .untold { fill: #8c959f }
  .spread, .wanted { stroke: #1f2328; stroke-width: 1.5 } .wanted { stroke-dasharray: 2 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground { fill: #0d1117 } .line { stroke: #30363d } .one { stroke: #9198a1 }
    .kept { fill: #3fb950 } .missed { fill: #f0883e } .untold { fill: #6e7681 }
    .spread, .wanted { stroke: #e6edf3 }
  }`;

/**
 * Ratios as bars to the right or left of 1, on a scale where twice is as far from 1 as half: an SVG of
 * its own. A line spans lowest to highest; a dashed one is what is wanted.
 */
export function chart(name: string, ratios: Record<string, Ratio>): string {
  const rows = Object.entries(ratios);
  const values = rows.flatMap(([, { min, max, wanted }]) => [min, max, wanted ?? 1]);
  const lowest = Math.floor(Math.log10(Math.min(0.5, ...values.filter((value) => value > 0))));
  const highest = Math.ceil(Math.log10(Math.max(2, ...values)));
  const left = Math.ceil(Math.max(...rows.map(([name]) => name.length)) * LETTER) + 20;
  const x = (value: number) =>
    left + (PLOT * (Math.log10(Math.max(value, 10 ** lowest)) - lowest)) / (highest - lowest);
  const [width, height] = [left + PLOT + RIGHT, TOP + rows.length * ROW + 8];
  const vertical = (kind: string, value: number, from: number, to: number) =>
    `<line class="${kind}" x1="${at(x(value))}" x2="${at(x(value))}" y1="${from}" y2="${to}"/>`;
  const decades = Array.from({ length: highest - lowest + 1 }, (_, step) => 10 ** (lowest + step));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(name)}: ratios, median with lowest and highest</title>`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...decades.flatMap((value) => [
      vertical(value === 1 ? "one" : "line", value, TOP - 6, height - 6),
      `<text x="${at(x(value))}" y="18" text-anchor="middle">${Number(value.toPrecision(1))}</text>`,
    ]),
    ...rows.flatMap(([label, { median, min, max, wanted }], index) => {
      const [top, middle] = [TOP + index * ROW, TOP + index * ROW + 9];
      const [from, to] = [Math.min(x(1), x(median)), Math.max(x(1), x(median))];
      const kind = wanted === undefined ? "untold" : median < wanted ? "missed" : "kept";
      return [
        `<text x="${left - 10}" y="${middle + 4}" text-anchor="end">${escaped(label)}</text>`,
        `<rect class="${kind}" x="${at(from)}" y="${top + 2}" width="${at(to - from)}" height="14"/>`,
        `<line class="spread" x1="${at(x(min))}" x2="${at(x(max))}" y1="${middle}" y2="${middle}"/>`,
        ...(wanted === undefined ? [] : [vertical("wanted", wanted, top - 2, top + 20)]),
        `<text x="${left + PLOT + 10}" y="${middle + 4}">${digits(median)}</text>`,
      ];
    }),
    "</svg>",
    "",
  ].join("\n");
}

const at = (position: number) => position.toFixed(1);

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
