import {
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ContractCopy } from "./contract-copy.ts";
import { patchesIn } from "./patches.ts";

/** The next contract: today's with every allowed change made. */
export async function tomorrow(): Promise<FileRegistry> {
  using copy = new ContractCopy();
  for (const patch of patchesIn("allowed")) await copy.apply(patch);
  return await copy.image();
}

/**
 * A service as an image has it. It has the type of today's, since they agree in what both have: the
 * gate sees to it.
 *
 * @example
 * createGrpcClient(serviceOf(release.image, OrderService), { address });
 */
export function serviceOf<Service extends DescService>(
  image: FileRegistry,
  { typeName }: Service,
): Service {
  const found = image.getService(typeName);
  if (!found) throw new Error(`The image has no ${typeName}`);
  return found as Service;
}

/** A message type as an image has it, under the type of today's. */
export function messageOf<Desc extends DescMessage>(image: FileRegistry, { typeName }: Desc): Desc {
  const found = image.getMessage(typeName);
  if (!found) throw new Error(`The image has no ${typeName}`);
  return found as Desc;
}

/**
 * Sends a message to someone who has another contract.
 *
 * @example
 * passOn(product, messageOf(tomorrow, ProductSchema), ProductSchema); // with what today does not know
 */
export function passOn<Desc extends DescMessage>(
  message: MessageShape<Desc>,
  from: Desc,
  to: Desc,
): MessageShape<Desc> {
  return fromBinary(to, toBinary(from, message));
}
