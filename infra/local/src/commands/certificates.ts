import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { Certificates } from "../certificates/certificates.js";
import { runCommand } from "./run-command.js";
import { shopSettings } from "./settings.js";

const usage = `npm run certificates -- rotate | issue <name>
  rotate  replaces the certificates and keys of all services and programs. A shop that runs takes
          them within seconds, without a restart.
  issue   prints where the certificate of a program is, and makes it where there is none: load-test`;

/** The command behind `npm run certificates`. */
await runCommand(usage, async () => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [command, name] = positionals;
  const isRight =
    command === "rotate" ? !name : command === "issue" && /^[a-z][a-z0-9-]*$/.test(name ?? "");
  if (!isRight || positionals.length > 2) throw new Error(usage);
  const folder = join(shopSettings().directory, "certificates");
  if (!existsSync(folder))
    throw new Error("No shop was opened here: npm start, or set EMPORIUM_DIR");
  const certificates = await Certificates.open(folder);
  if (name) return console.log(dirname((await certificates.filesOf(name)).certFile));
  console.log(`Replaced: ${(await certificates.rotate()).toSorted().join(", ")}`);
});
