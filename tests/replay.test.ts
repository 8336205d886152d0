import { join } from "node:path";
import { bootShop, projectDirectory, runReplay } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { expect, test } from "vitest";

test("a real day of orders, 32 at once, ends with books that balance to the penny", async () => {
  const backing = await testInfrastructure();
  await using shop = await bootShop({ backing, replicas: { checkout: 2 } });
  const report = await runReplay({
    file: join(projectDirectory, "data/online-retail-2010-12.csv.gz"),
    concurrency: 32,
    days: 1,
    shop,
  });
  expect(report.proof).toMatchObject({ holds: true, differences: [], wrong: [] });
  expect(report.proof.products).toBe(2790);
  // What the file holds for the 1st of December: 137 orders, 6 cancellations.
  expect(report.orders).toEqual({
    accepted: 120,
    rejected: 17,
    reasons: {
      "INVALID_REQUEST lines[].unit_price (money.price)": 9,
      "PRODUCT_NOT_FOUND lines[].sku": 7,
      "INVALID_REQUEST lines[].quantity (int64.gte_lte)": 1,
    },
  });
  expect(report.cancellations).toMatchObject({ applied: 5, rejected: 1 });
  expect(report.turnover).toBe("44315.73");
  expect(report.units).toEqual({ loaded: 358_751, sold: 23_144, returned: 182 });
}, 120_000);

test("the same day comes to the same penny while processes are killed", async () => {
  await using shop = await bootShop({
    backing: await testInfrastructure(),
    processes: true,
    logLevel: "silent",
    replicas: { checkout: 2 },
  });
  const report = await runReplay({
    file: join(projectDirectory, "data/online-retail-2010-12.csv.gz"),
    concurrency: 4,
    days: 1,
    shop,
    kill: shop.replicas,
  });
  expect(report.proof).toMatchObject({ holds: true, differences: [], wrong: [] });
  expect(report.orders).toMatchObject({ accepted: 120, rejected: 17 });
  expect(report.turnover).toBe("44315.73");
  expect(report.units).toEqual({ loaded: 358_751, sold: 23_144, returned: 182 });
  expect(report.kills).toBeGreaterThan(0);
}, 300_000);
