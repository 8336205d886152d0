import {
  create,
  fromBinary,
  toBinary,
  type DescFile,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { BytesValueSchema, DurationSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { decode, encode } from "@emporium/codec";
import { ErrorInfoSchema } from "@emporium/contracts/google/rpc";
import { GetOrderResponseSchema, ListOrdersResponseSchema } from "@emporium/contracts/orders/v1";
import protobufjs from "protobufjs";
import "protobufjs/ext/descriptor/index.js";
import { type Bench, cpuRatio, median, type Ratio, shown } from "../ratios.js";

/** What is measured of one message: CPU microseconds a call by the name of the variant. */
interface Subject {
  name: string;
  type: DescMessage;
  message: Message;
  bytes: Buffer;
}

const TITLES = [
  "WHITE HANGING HEART T-LIGHT HOLDER",
  "WHITE METAL LANTERN",
  "CREAM CUPID COAT HANGER",
];
const price = (units: bigint, nanos: number) => ({ currencyCode: "GBP", units, nanos });
const line = (_: unknown, i: number) => ({
  sku: `8512${i}A`,
  title: TITLES[i % TITLES.length]!,
  quantity: BigInt(6 + i),
  unitPrice: price(BigInt(2 + i), 550_000_000),
});
const order = {
  orderId: "ord_01jdz3k7m8n9p0q1r2s3t4v5w6",
  customerId: "17850",
  state: 1,
  lines: Array.from({ length: 5 }, line),
  total: price(198n, 500_000_000),
  shippingAddress: { recipient: "Ada Byron", locality: "London", country: "United Kingdom" },
  checkoutId: "chk_01jdz3k7m8n9p0q1r2s3t4v5w6",
  createTime: { seconds: 1_291_191_960n, nanos: 123_000_000 },
  updateTime: { seconds: 1_291_191_960n, nanos: 123_000_000 },
  revision: 1n,
};
const small = { ...order, lines: order.lines.slice(0, 1) };
const metadata = Object.fromEntries(
  Array.from({ length: 20 }, (_, i) => [`key${i}`, `value ${i}`]),
);

/** What is measured, and the least that is wanted against protobuf-es. */
const messages: [name: string, type: DescMessage, message: Message, wanted: number][] = [
  ["order", GetOrderResponseSchema, create(GetOrderResponseSchema, { order }), 2.5],
  ["map", ErrorInfoSchema, create(ErrorInfoSchema, { reason: "OUT_OF_STOCK", metadata }), 1],
  [
    "1,000 messages",
    ListOrdersResponseSchema,
    create(ListOrdersResponseSchema, { orders: Array.from({ length: 1000 }, () => small) }),
    1,
  ],
  [
    "1 MB of bytes",
    BytesValueSchema,
    create(BytesValueSchema, { value: Buffer.alloc(1 << 20) }),
    1,
  ],
  ["4 bytes", DurationSchema, create(DurationSchema, { seconds: 1n, nanos: 1 }), 1],
];

function filesOf(file: DescFile, found = new Map<string, DescFile>()): Map<string, DescFile> {
  for (const dependency of file.dependencies) filesOf(dependency, found);
  return found.set(file.name, file);
}

interface Extended {
  fromDescriptor: (set: Uint8Array) => protobufjs.Root;
}

/** The type in protobufjs, whose functions are compiled as its command line would write them. */
function inProtobufjs(type: DescMessage): protobufjs.Type {
  const file = [...filesOf(type.file).values()].map(({ proto }) => proto);
  const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
  // The extension's own types leave this out.
  const { fromDescriptor } = protobufjs.Root as unknown as Extended;
  return fromDescriptor(set).lookupType(type.typeName);
}

function variantsOf({ name, type, message, bytes }: Subject): Record<string, () => unknown> {
  const variants: Record<string, () => unknown> = {
    "encode emporium": () => encode(type, message),
    "encode protobuf-es": () => toBinary(type, message),
    "decode emporium": () => decode(type, bytes),
    "decode protobuf-es": () => fromBinary(type, bytes),
  };
  if (name !== "order") return variants;
  const other = inProtobufjs(type);
  const same = other.decode(bytes);
  variants["encode protobufjs"] = () => other.encode(same).finish();
  variants["decode protobufjs"] = () => other.decode(bytes);
  return variants;
}

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Microseconds a call, by variant and round; the variants take turns. */
function measure(variants: Record<string, () => unknown>, rounds: number, microseconds: number) {
  const names = Object.keys(variants);
  const calls: Record<string, number> = {};
  for (const name of names) {
    const variant = variants[name]!;
    let count = 0;
    // The first half warms up, the second tells how many calls fill a round.
    for (const start = cpu(); cpu() - start < microseconds * 4;)
      for (let i = 0; i < 20; i++) variant();
    for (const start = cpu(); cpu() - start < microseconds; count += 20)
      for (let i = 0; i < 20; i++) variant();
    calls[name] = count;
  }
  const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const variant = variants[name]!;
      const start = cpu();
      for (let i = 0; i < calls[name]!; i++) variant();
      times[name]!.push((cpu() - start) / calls[name]!);
    }
  }
  return times;
}

/**
 * The compiled codec beside protobuf-es, and beside protobufjs with the code that its static target
 * has. Ratios say how many times as fast ours is.
 */
export const benchCodec: Bench = ({
  quick,
  rounds = 9,
  seconds = quick ? 0.01 : 0.04,
  progress,
}) => {
  const ratios: Record<string, Ratio> = {};
  const microseconds: Record<string, number> = {};
  for (const [name, type, message, wanted] of messages) {
    const bytes = encode(type, message);
    if (bytes.compare(toBinary(type, message)) !== 0) throw new Error(`${name} differs`);
    progress(`${name}, ${bytes.length} bytes`);
    const variants = variantsOf({ name, type, message, bytes });
    const times = measure(variants, rounds, seconds * 1e6);
    for (const [variant, measured] of Object.entries(times)) {
      microseconds[`${name}: ${variant}`] = median(measured);
      const [work, codec] = variant.split(" ") as [string, string];
      if (codec === "emporium") continue;
      const least = codec === "protobufjs" ? 0.8 : wanted;
      const key = `${name} (${bytes.length} bytes), ${work} against ${codec}`;
      ratios[key] = cpuRatio(measured, times[`${work} emporium`]!, least);
    }
  }
  const text = [
    ...Object.entries(microseconds).map(([name, us]) => `${us.toFixed(2).padStart(9)} us  ${name}`),
    "",
    ...Object.entries(ratios).map(([name, found]) => `${shown(found).padEnd(38)}${name}`),
  ].join("\n");
  return Promise.resolve({ text, data: { ratios, microseconds, node: process.version } });
};
