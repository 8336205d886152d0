import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { signingKeysFile } from "../issuer/issuer.js";
import { rotateKeys } from "../issuer/signing-keys.js";
import { runCommand, say } from "./run-command.js";
import { shopSettings } from "./settings.js";

const usage = `npm run rotate-keys [-- --revoke]
  Gives the local issuer a new signing key; services and logins go on.
  --revoke  refuses the tokens of all keys before, within a minute`;

/** The command behind `npm run rotate-keys`. */
await runCommand(usage, async () => {
  const { values } = parseArgs({ options: { revoke: { type: "boolean", default: false } } });
  const keys = signingKeysFile(join(shopSettings().directory, "issuer"));
  if (!existsSync(keys)) throw new Error("No shop was opened here: npm start, or set EMPORIUM_DIR");
  await rotateKeys(keys, values);
  say(
    values.revoke ? "Tokens are signed with a new key alone" : "Tokens are signed with a new key",
  );
});
