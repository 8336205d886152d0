import type { Money } from "@emporium/contracts/google/type";
import { EngineReason } from "@emporium/contracts/options/v1";
import { Reason } from "@emporium/contracts/orders/v2";
import { engineFailure } from "@emporium/grpc";
import { failure } from "./failure.js";

/**
 * The one currency of all prices of a request. A price without a currency code is in the shop's
 * currency, which is also the answer where no line has a price.
 *
 * Fails with MIXED_CURRENCIES, which names each line that differs from the first price, and before
 * that as an invalid request where a code has not the form of ISO 4217: Money's own file has no
 * rules that the engine could check.
 */
export function oneCurrency(
  lines: readonly { unitPrice?: Money | undefined }[],
  shopCurrency: string,
): string {
  const codes = lines.map(({ unitPrice }) => unitPrice && (unitPrice.currencyCode || shopCurrency));
  const currency = codes.find((code) => code !== undefined) ?? shopCurrency;
  const malformed = fieldsWhere(codes, (code) => !/^[A-Z]{3}$/.test(code), "not three capitals");
  if (malformed.length > 0)
    throw engineFailure(EngineReason.INVALID_REQUEST, "A currency is given by its ISO 4217 code", {
      fieldViolations: malformed,
    });
  const others = fieldsWhere(codes, (code) => code !== currency, `not ${currency}`);
  if (others.length > 0)
    throw failure(Reason.MIXED_CURRENCIES, "The prices are in several currencies", {
      fieldViolations: others,
    });
  return currency;
}

function fieldsWhere(
  codes: readonly (string | undefined)[],
  wrong: (code: string) => boolean,
  description: string,
): { field: string; description: string }[] {
  return codes.flatMap((code, index) =>
    code !== undefined && wrong(code)
      ? [{ field: `lines[${index}].unit_price.currency_code`, description }]
      : [],
  );
}
