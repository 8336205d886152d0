import { parseArgs } from "node:util";
import { benchTokens } from "./auth/tokens.js";
import { benchRpc } from "./rpc/rpc.js";
import type { Bench } from "./ratios.js";
import { benchCheckout } from "./checkout/checkout.js";
import { benchReserve } from "./reserve/reserve.js";

/** `npm run bench -- <name> [--json] [--quick]`. */
const benches: Record<string, Bench> = {
  auth: benchTokens,
  rpc: benchRpc,
  reserve: benchReserve,
  checkout: benchCheckout,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, quick: { type: "boolean" } },
});
const [name] = positionals;
const bench = name === undefined ? undefined : benches[name];
if (!bench) {
  console.error(`Which bench? One of: ${Object.keys(benches).join(", ")}`);
  process.exit(1);
}
const report = await bench({
  quick: values.quick ?? false,
  progress: (line) => process.stderr.write(`${line}\n`),
});
console.log(values.json ? JSON.stringify(report.data) : report.text);
