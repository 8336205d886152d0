import { expect, test } from "vitest";
import type { Ratio } from "../ratios.js";
import { chart } from "./chart.js";
import { compare } from "./compare.js";
import { page } from "./page.js";
import type { Results } from "./results.js";

const cpu = (median: number, max = median): Ratio => ({ median, min: median / 2, max, cpu: true });

function results(ratios: Record<string, Ratio>): Results {
  const run = { seconds: 1, loadBefore: [9.5, 1, 1], loadAfter: [0.5, 1, 1], report: { ratios } };
  const machine = {
    cores: 2,
    model: "A CPU",
    memoryBytes: 2 ** 33,
    kernel: "linux 6",
    node: "v24",
    noInstructions: "there is no perf",
  };
  return { time: "2026-11-27T12:00:00Z", quick: true, machine, benches: { rpc: run } };
}

test("a ratio has fallen when it is in each round under half of what was committed", () => {
  const before = results({ halved: cpu(4), fallen: cpu(4), shaken: cpu(4), risen: cpu(1) });
  const now = results({
    halved: cpu(2),
    fallen: cpu(1.99),
    shaken: cpu(1, 3),
    risen: cpu(9),
  });
  const fell = compare(before, now).map((each) => [each.name, each.fell]);
  expect(fell).toEqual([
    ["rpc: halved", false],
    ["rpc: fallen", true],
    ["rpc: shaken", false],
    ["rpc: risen", false],
  ]);
});

test("rates are not compared, only CPU time is", () => {
  const rate = (median: number): Ratio => ({ median, min: median, max: median });
  expect(compare(results({ rate: rate(4) }), results({ rate: rate(1) }))).toEqual([]);
});

test("an operation that takes a quarter more instructions has fallen, where both were counted", () => {
  const counted = (...counts: (number | undefined)[]) => {
    const found = results({});
    const figures = counts.map((instructions, at) => [`engine ${at}`, { instructions }]);
    Object.assign(found.benches["rpc"]!.report!, { figures: Object.fromEntries(figures) });
    return found;
  };
  const all = compare(counted(1_000, 1_000, undefined, 1_000), counted(1_250, 1_251, 9_999));
  expect(all.map(({ name, fell }) => [name, fell])).toEqual([
    ["rpc: instructions of engine 0", false],
    ["rpc: instructions of engine 1", true],
  ]);
});

test("what is not measured this time is said and has not fallen", () => {
  expect(compare(results({ "engine over grpc-go": cpu(0.3) }), results({}))).toEqual([
    { name: "rpc: engine over grpc-go", before: 0.3, now: undefined, fell: false },
  ]);
});

test("the page says what was missed, how busy the machine was, and what was not measured", () => {
  const measured = results({ kept: { ...cpu(3), wanted: 2 }, short: { ...cpu(1), wanted: 1.4 } });
  const table = { title: "GetOrder", columns: ["orders", "CPU us"], rows: [["1,000", "12"]] };
  measured.benches["rpc"]!.report!.tables = [{ ...table, verdict: "flat" }];
  measured.benches["codec"] = { seconds: 1, loadBefore: [3], loadAfter: [3], failure: "no codec" };
  const text = page(measured);
  expect(text).toContain("| kept | 3.00 | 1.50 | 3.00 | 2 | yes |");
  expect(text).toContain("| short | 1.00 | 0.500 | 1.00 | 1.4, missed | yes |");
  expect(text).toContain("0.5 to 9.5. More processes wanted a core than there were");
  expect(text).toContain("Not measured this time: no codec.");
  expect(text).toContain("Instructions were not counted: there is no perf.");
  expect(text).toContain("| orders | CPU us |\n| --- | ---: |\n| 1,000 | 12 |\n\nflat");
  expect(text).not.toContain("codec.svg");
});

test("a chart has a bar for each ratio, to the left of 1 where it is less", () => {
  const svg = chart("rpc", { "more & better": { ...cpu(10), wanted: 2 }, less: cpu(0.1) });
  const bars = [...svg.matchAll(/<rect class="(\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)];
  const [more, less] = bars.map(([, kind, x, width]) => ({
    kind,
    x: Number(x),
    width: Number(width),
  }));
  expect(more?.kind).toBe("kept");
  expect(less?.kind).toBe("untold");
  expect(less!.x + less!.width).toBeCloseTo(more!.x);
  expect(less!.width).toBeCloseTo(more!.width);
  expect(svg).toContain("more &amp; better");
});
