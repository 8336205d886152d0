import { type Reason, ReasonSchema } from "@emporium/contracts/orders/v2";
import { createFailure } from "@emporium/grpc";

export const failure = createFailure<Reason>(ReasonSchema);
