import { create } from "@bufbuild/protobuf";
import { type Money, MoneySchema } from "@emporium/contracts/google/type";

/** Nanos of one minor unit (penny, cent). The contract admits no finer price. */
const NANOS_PER_MINOR_UNIT = 10_000_000;

/** An amount on the wire to minor units: 12 GBP and 340,000,000 nanos are 1234n pence. */
export function toMinorUnits(money: Money): bigint {
  return money.units * 100n + BigInt(Math.trunc(money.nanos / NANOS_PER_MINOR_UNIT));
}

/** Minor units, zero or more, to an amount on the wire. */
export function toMoney(minorUnits: bigint, currencyCode: string): Money {
  return create(MoneySchema, {
    currencyCode,
    units: minorUnits / 100n,
    nanos: Number(minorUnits % 100n) * NANOS_PER_MINOR_UNIT,
  });
}
