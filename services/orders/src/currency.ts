import type { Money } from "@emporium/contracts/google/type";
import { Reason } from "@emporium/contracts/orders/v1";
import { failure } from "./failure.js";

/**
 * The one currency of all prices of a request. A price without a currency code is in the shop's
 * currency, which is also the answer where no line has a price.
 *
 * Fails with MIXED_CURRENCIES, which names each line that differs from the first price.
 */
export function oneCurrency(
  lines: readonly { unitPrice?: Money | undefined }[],
  shopCurrency: string,
): string {
  const codes = lines.map(({ unitPrice }) => unitPrice && (unitPrice.currencyCode || shopCurrency));
  const currency = codes.find((code) => code !== undefined) ?? shopCurrency;
  const fieldViolations = codes.flatMap((code, index) =>
    code === undefined || code === currency
      ? []
      : [
          {
            field: `lines[${index}].unit_price.currency_code`,
            description: `${code} beside ${currency}`,
          },
        ],
  );
  if (fieldViolations.length > 0)
    throw failure(Reason.MIXED_CURRENCIES, "The prices are in several currencies", {
      fieldViolations,
    });
  return currency;
}
