import { ResourceInfoSchema } from "@emporium/contracts/google/rpc";
import { OrderService as OrderServiceV1 } from "@emporium/contracts/orders/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { ConnectError } from "@emporium/grpc";

const V1 = OrderServiceV1.file.proto.package;
const V2 = OrderService.file.proto.package;

/**
 * The same failure in the words of v1. Reasons, domain, codes and fields are called the same in both
 * versions; the type of a resource bears the version's name.
 */
export function toV1Failure(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  for (const detail of error.details)
    if ("desc" in detail && detail.desc.typeName === ResourceInfoSchema.typeName) {
      const info = detail.value as { resourceType?: string };
      info.resourceType = info.resourceType?.replace(`${V2}.`, `${V1}.`) ?? "";
    }
  return error;
}
