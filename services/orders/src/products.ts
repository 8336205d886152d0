import { getOption } from "@bufbuild/protobuf";
import { BadRequestSchema } from "@emporium/contracts/google/rpc";
import {
  type InventoryService,
  Reason as InventoryReason,
  ReasonSchema as InventoryReasonSchema,
} from "@emporium/contracts/inventory/v1";
import { error_domain } from "@emporium/contracts/options/v1";
import { Reason, type ReturnLine } from "@emporium/contracts/orders/v2";
import { type Client, findDetail, reasonOf } from "@emporium/grpc";
import { failure } from "./failure.js";

/** Fails with PRODUCT_NOT_FOUND, which names each line whose product inventory does not know. */
export async function checkProducts(
  inventory: Client<typeof InventoryService>,
  lines: readonly ReturnLine[],
): Promise<void> {
  const skus = [...new Set(lines.map((line) => line.sku))];
  try {
    await inventory.checkStock({ skus });
  } catch (error) {
    const unknown = unknownSkus(error, skus);
    if (unknown.size === 0) throw error;
    throw failure(Reason.PRODUCT_NOT_FOUND, "The shop has never had some of these products", {
      fieldViolations: lines.flatMap(({ sku }, index) =>
        unknown.has(sku)
          ? [{ field: `lines[${index}].sku`, description: `there is no product ${sku}` }]
          : [],
      ),
    });
  }
}

/** Inventory names fields of its own request, `skus[3]`. */
function unknownSkus(error: unknown, skus: readonly string[]): Set<string> {
  const found = reasonOf(error);
  if (
    found?.domain !== getOption(InventoryReasonSchema, error_domain) ||
    found.reason !== InventoryReason[InventoryReason.PRODUCT_NOT_FOUND]
  )
    return new Set();
  const violations = findDetail(error, BadRequestSchema)?.fieldViolations ?? [];
  const at = violations.map(({ field }) => Number(/^skus\[(\d+)\]$/.exec(field)?.[1]));
  return new Set(at.flatMap((index) => skus[index] ?? []));
}
