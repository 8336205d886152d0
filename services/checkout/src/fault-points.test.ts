import { expect, test } from "vitest";
import { faultsFrom, noFaults } from "./fault-points.js";

test("without a place nothing happens anywhere", async () => {
  expect(faultsFrom("")).toBe(noFaults);
  await noFaults("after-reserve");
});

test("a place that does not exist, or a fault that is not known, is refused", () => {
  for (const text of [
    "after-lunch=kill",
    "after-reserve",
    "after-reserve=explode",
    "reserve=kill@0",
  ])
    expect(faultsFrom(text)).toBeUndefined();
});

test("the process sends itself the signal, at the passing that was named", async () => {
  const place = faultsFrom("before-capture=end@2, after-reserve=kill");
  let ended = 0;
  const count = () => (ended += 1);
  process.on("SIGTERM", count);
  try {
    for (let passing = 1; passing <= 3; passing++) await place?.("before-capture");
    await place?.("after-capture");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ended).toBe(1);
  } finally {
    process.off("SIGTERM", count);
  }
});
