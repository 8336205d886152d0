import { once } from "node:events";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { RunningGateway } from "@emporium/gateway";
import type { Server } from "../guard/guarded-server.js";
import type { Shop } from "../shop/shop.js";
import { openGateway } from "./open-gateway.js";
import { openShop } from "./open-shop.js";
import { announce } from "./running-shop.js";
import { runCommand, say } from "./run-command.js";
import { type ShopSettings, shopSettings } from "./settings.js";
import { askedToStop } from "./shutdown.js";

/** Milliseconds before a server that died is started again. */
const RESTART_PAUSE_MS = 1000;

const usage = `npm start [-- --fresh] [-- --json]
  --fresh  throw away the data of earlier runs
  --json   print where everything runs as one line of JSON`;

/** The command behind `npm start`: runs the shop until Ctrl-C. */
await runCommand(usage, async () => {
  const { values } = parseArgs({
    options: { fresh: { type: "boolean" }, json: { type: "boolean" } },
  });
  const settings = shopSettings();
  const signal = askedToStop();
  {
    await using shop = await openShop(settings, {
      signal,
      fresh: values.fresh,
      ports: settings.ports,
      report: say,
      onLine: sayOnce(),
    });
    await using gateway = await openGateway(shop, {
      port: settings.ports.gateway,
      logLevel: "silent",
    });
    using _ = announce(settings.directory, shop);
    console.log(values.json ? JSON.stringify(shop.addresses) : overview(shop, settings, gateway));
    for (const server of shop.servers) void keepUp(server);
    await Promise.race([aborted(signal), shop.lost]);
    say("Stopping");
  }
  say("Stopped");
});

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** Starts a server again whenever it dies. */
async function keepUp(server: Server): Promise<never> {
  for (;;) {
    await server.lost.catch((error: Error) => say(error.message));
    await delay(RESTART_PAUSE_MS);
    say(`Starting ${server.label} again`);
    await server.start().catch(() => undefined);
  }
}

/** Tells what is new in the services' logs: trouble that lasts is told once. */
function sayOnce(): (label: string, line: string) => void {
  const last = new Map<string, string>();
  return (label, line) => {
    const said = gist(line);
    if (last.get(label) !== said) say(`${label.padEnd(9)} | ${said}`);
    last.set(label, said);
  };
}

/** What a line of a service's log says; all of it is in the file. */
function gist(line: string): string {
  try {
    const { level, msg, err } = JSON.parse(line) as Record<string, string> & { err?: Error };
    return `${level}: ${msg}${err ? ` (${err.message})` : ""}`;
  } catch {
    return line;
  }
}

function overview(
  shop: Shop,
  { directory, ports }: ShopSettings,
  { address }: RunningGateway,
): string {
  const rows = [
    ...shop.replicas.map(({ label, address, pid }) => [label, address, `gRPC, process ${pid}`]),
    ["postgres", `127.0.0.1:${ports.postgres}`, "databases inventory, orders, checkout"],
    ["nats", `127.0.0.1:${ports.nats}`, "JetStream"],
    ["issuer", `127.0.0.1:${ports.issuer}`, "OpenID Connect, https"],
  ];
  const folder = relative(process.cwd(), directory) || directory;
  return [
    `\nThe shop is open, ${process.uptime().toFixed(1)} s after the command.\n`,
    ...rows.map(
      ([what = "", where = "", more]) => `  ${what.padEnd(10)} ${where.padEnd(16)} ${more}`,
    ),
    `\n  data and logs in ${folder}`,
    `  who can log in, and how: ${join(folder, "issuer/secrets.json")}`,
    "  buy something: npm run demo    stop: Ctrl-C    start over: npm start -- --fresh\n",
    `  http://${address}\n`,
  ].join("\n");
}
