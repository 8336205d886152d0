import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Certificates } from "../certificates/certificates.js";
import { runCommand } from "./run-command.js";
import { shopSettings } from "./settings.js";

const usage = `npm run certificates -- rotate
  Replaces the certificates and keys of all services and programs. A shop that runs takes them
  within seconds, without a restart.`;

/** The command behind `npm run certificates`. */
await runCommand(usage, async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  if (positionals.join() !== "rotate") throw new Error(usage);
  const folder = join(shopSettings().directory, "certificates");
  if (!existsSync(folder))
    throw new Error("No shop was opened here: npm start, or set EMPORIUM_DIR");
  const certificates = await Certificates.open(folder);
  console.log(`Replaced: ${(await certificates.rotate()).toSorted().join(", ")}`);
});
