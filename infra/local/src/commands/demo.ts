import { buy } from "./buy.js";
import { openShop } from "./open-shop.js";
import { runCommand, say } from "./run-command.js";
import { findRunningShop } from "./running-shop.js";
import { shopSettings } from "./settings.js";
import { askedToStop } from "./shutdown.js";

const usage = `npm run demo
  Buys something as a customer would; opens the shop for it where none runs.`;

/** The command behind `npm run demo`. */
await runCommand(usage, async () => {
  const settings = shopSettings();
  const running = await findRunningShop(settings.directory);
  if (running) return buy(running);
  say("No shop runs: opening it for this purchase");
  await using shop = await openShop(settings, { report: say, signal: askedToStop() });
  await buy(shop);
});
