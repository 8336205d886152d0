import { parseArgs } from "node:util";
import { ConfigurationError } from "@emporium/runtime";
import { dataKeysFile } from "../data-keys/key-file.js";
import { type ListedKey, listDataKeys, rotateDataKeys } from "../data-keys/rotate.js";
import { runCommand } from "./run-command.js";
import { findRunningShop } from "./running-shop.js";
import { shopSettings } from "./settings.js";

const usage = `npm run data-keys -- rotate [--drop-old] [--json]
npm run data-keys -- list [--json]
  Looks after the keys that the running shop seals data at rest with; the shop goes on.
  rotate      makes a new key the primary one, and seals with it what others have sealed
  --drop-old  and takes the others away, once no call is left that may use them: half a minute
  list        the keys by their ids, and how many values each has sealed`;

const options = {
  "drop-old": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** The command behind `npm run data-keys`. */
await runCommand(usage, async () => {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [verb, ...more] = positionals;
  const dropOld = values["drop-old"];
  if (more.length > 0 || !(verb === "rotate" || (verb === "list" && !dropOld)))
    throw new ConfigurationError(usage);
  const { directory } = shopSettings();
  const shop = await findRunningShop(directory);
  if (!shop) throw new Error("No shop runs here: npm start, or set EMPORIUM_DIR");
  const place = { keyFile: dataKeysFile(directory), databaseUrls: shop.databaseUrls };
  const tell = (report: unknown, text: string) =>
    console.log(values.json ? JSON.stringify(report) : text);
  if (verb === "list") {
    const keys = await listDataKeys(place);
    return tell(keys, keys.map(printed).join("\n"));
  }
  const report = await rotateDataKeys({ ...place, dropOld });
  const gone = report.dropped.map((id) => `\n${id} is gone`).join("");
  tell(report, `${report.primary} is the primary key; sealed anew: ${report.resealed}${gone}`);
});

function printed({ id, primary, known, values }: ListedKey): string {
  const state = primary ? "primary" : known ? "" : "UNKNOWN";
  const counts = Object.entries(values).map(([place, count]) => `${place} ${count}`);
  const name = id || "never sealed";
  return `${name.padEnd(30)}  ${state.padEnd(7)}  ${counts.join(", ") || "nothing"}`;
}
