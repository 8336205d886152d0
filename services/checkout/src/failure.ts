import { type Reason, ReasonSchema } from "@emporium/contracts/checkout/v1";
import { createFailure } from "@emporium/grpc";

export const failure = createFailure<Reason>(ReasonSchema);
