import { ConfigurationError } from "@emporium/runtime";
import { expect, test } from "vitest";
import { shopSettings } from "./settings.js";

test("without any variable the shop has its usual ports, away from those of Postgres and NATS", () => {
  const { ports, currency, directory } = shopSettings({});
  expect(ports).toEqual({
    postgres: 15432,
    nats: 14222,
    issuer: 18443,
    orders: 50051,
    inventory: 50052,
    checkout: 50053,
    gateway: 8080,
  });
  expect(currency).toBe("GBP");
  expect(directory).toMatch(/\.emporium\/shop$/);
});

test.each([
  ["POSTGRES_PORT", "http", "a port from 1 to 65535, usually 15432"],
  ["NATS_PORT", "0", "a port from 1 to 65535, usually 14222"],
  ["ORDERS_PORT", "70000", "a port from 1 to 65535, usually 50051"],
  ["SHOP_CURRENCY", "pound", "an ISO 4217 code, such as GBP"],
  ["LOG_LEVEL", "loud", "trace, debug, info, warn, error, fatal or silent"],
])(
  "%s is refused when it is %j, in one line that tells what is expected",
  (name, value, expected) => {
    expect(() => shopSettings({ [name]: value })).toThrow(
      new ConfigurationError(`${name} is wrong: ${expected}`),
    );
  },
);
