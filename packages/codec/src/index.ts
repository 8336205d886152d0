export { BoundExceededError, type Bounds, type Excess, type FieldBounds } from "./bounds.js";
export { boundedDecoder, decode, encode } from "./codec.js";
