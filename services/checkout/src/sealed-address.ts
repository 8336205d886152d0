import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ShippingAddress as GivenAddress,
  ShippingAddressSchema as GivenAddressSchema,
} from "@emporium/contracts/orders/v1";
import { type ShippingAddress, ShippingAddressSchema } from "@emporium/contracts/orders/v2";
import type { DataKeys } from "@emporium/database";

/** What the row of a checkout keeps of the address that it goes to. */
export function sealAddress(
  keys: DataKeys,
  checkoutId: string,
  address: GivenAddress | undefined,
): Uint8Array | null {
  return address ? keys.seal(toBinary(GivenAddressSchema, address), placeOf(checkoutId)) : null;
}

/** The address that a row keeps, as orders takes it: both versions have it in the same bytes. */
export function openAddress(keys: DataKeys, checkoutId: string, kept: Uint8Array): ShippingAddress {
  return fromBinary(ShippingAddressSchema, keys.open(kept, placeOf(checkoutId)));
}

const placeOf = (checkoutId: string) => `checkouts/${checkoutId}`;
