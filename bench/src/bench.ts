import { parseArgs } from "node:util";
import { benchAuth } from "./auth/auth.js";
import { benchCodec } from "./codec/codec.js";
import { benchRpc } from "./rpc/rpc.js";
import type { Bench } from "./ratios.js";
import { benchCheckout } from "./checkout/checkout.js";
import { benchReserve } from "./reserve/reserve.js";

/** `npm run bench -- <name> [--json] [--quick] [--rounds n] [--seconds n]`. */
const benches: Record<string, Bench> = {
  auth: benchAuth,
  checkout: benchCheckout,
  codec: benchCodec,
  reserve: benchReserve,
  rpc: benchRpc,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    quick: { type: "boolean" },
    rounds: { type: "string" },
    seconds: { type: "string" },
  },
});
const [name] = positionals;
const bench = name === undefined ? undefined : benches[name];
if (!bench) {
  console.error(`Which bench? One of: ${Object.keys(benches).join(", ")}`);
  process.exit(1);
}
const report = await bench({
  quick: values.quick ?? false,
  rounds: positive("rounds"),
  seconds: positive("seconds"),
  progress: (line) => process.stderr.write(`${line}\n`),
});
console.log(values.json ? JSON.stringify(report.data) : report.text);

function positive(option: "rounds" | "seconds"): number | undefined {
  if (values[option] === undefined) return undefined;
  const value = Number(values[option]);
  if (value > 0) return value;
  console.error(`--${option} wants a number above 0`);
  process.exit(1);
}
