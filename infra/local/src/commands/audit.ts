import { parseArgs } from "node:util";
import { audit } from "../audit/audit.js";
import { asJson, printedAudit } from "../audit/printed.js";
import { runCommand } from "./run-command.js";
import { findRunningShop } from "./running-shop.js";
import { shopSettings } from "./settings.js";

/** Milliseconds that what is under way gets to end. */
const PATIENCE_MS = 30_000;

const usage = `npm run audit -- [--json]
  Holds all books of the running shop against each other: stock, reservations, checkouts, orders,
  payments, events. Exits with 1 and names the differences where they do not agree.
  --json  print the report as one JSON object`;

/** The command behind `npm run audit`. */
await runCommand(usage, async () => {
  const { values } = parseArgs({ options: { json: { type: "boolean" } } });
  const shop = await findRunningShop(shopSettings().directory);
  if (!shop) throw new Error("No shop runs here: npm start, or set EMPORIUM_DIR");
  const report = await audit(shop, PATIENCE_MS);
  console.log(values.json ? asJson(report) : printedAudit(report));
  if (!report.holds) throw new Error("The books do not agree");
});
