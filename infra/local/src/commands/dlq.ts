import { parseArgs } from "node:util";
import type { DeadLetter, Source } from "@emporium/events";
import { ConfigurationError } from "@emporium/runtime";
import { openLetters } from "../dlq/open.js";
import { describe, printedLetter, printedList, summarize } from "../dlq/printed.js";
import { serviceNames } from "../shop/services.js";
import { runCommand } from "./run-command.js";
import { findRunningShop } from "./running-shop.js";
import { shopSettings } from "./settings.js";

const usage = `npm run dlq -- list [--source NAME] [--consumer NAME] [--json]
npm run dlq -- show EVENT [--json]
npm run dlq -- redrive EVENT… | --all [--source NAME] [--consumer NAME] [--json]
  Looks after the events that a consumer of the running shop could not take in.
  list      each with its reason, whose it is, for whom, its subject and its age
  show      one of them whole; what the contract redacts stays hidden
  redrive   sends them to their consumer again, under a new id`;

const options = {
  source: { type: "string" },
  consumer: { type: "string" },
  all: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

/** The command behind `npm run dlq`. */
await runCommand(usage, async () => {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { source, consumer, all, json } = values;
  const [verb, ...ids] = positionals;
  const shop = await findRunningShop(shopSettings().directory);
  if (!shop) throw new Error("No shop runs here: npm start, or set EMPORIUM_DIR");
  await using office = await openLetters(shop);
  const filter = { ...(source && { source: sourceOf(source) }), ...(consumer && { consumer }) };
  const letters = await Array.fromAsync(office.list(filter));
  const tell = (report: unknown, text: string) => console.log(json ? JSON.stringify(report) : text);

  if (verb === "list" && ids.length === 0) {
    const list = letters.map((letter) => summarize(letter));
    return tell(list, printedList(list));
  }
  if (verb === "show" && ids.length === 1) {
    // Several consumers may have failed with the same event.
    const shown = wanted(letters, ids).map((letter) => describe(letter));
    return tell(shown, shown.map(printedLetter).join("\n\n"));
  }
  if (verb === "redrive" && all !== ids.length > 0) {
    const redriven = await office.redrive(all ? letters : wanted(letters, ids));
    return tell({ redriven }, `Sent again: ${redriven}`);
  }
  throw new ConfigurationError(usage);
});

function wanted(letters: DeadLetter[], ids: string[]): DeadLetter[] {
  return ids.flatMap((id) => {
    const found = letters.filter(({ eventId }) => eventId === id);
    if (found.length === 0) throw new Error(`There is no dead letter of ${id}`);
    return found;
  });
}

function sourceOf(name: string): Source {
  const known = serviceNames.find((service) => service === name);
  if (!known) throw new ConfigurationError(`--source is wrong: one of ${serviceNames.join(", ")}`);
  return known;
}
