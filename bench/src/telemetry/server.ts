import type { CallObserver } from "@emporium/grpc";
import { serveEngine } from "../engine-server.js";
import { inventory, orders } from "../rpc/servers/handlers.js";
import { log, metrics, traces } from "./observers.js";

/** The engine with what it is told to have on. */
const known: Record<string, () => CallObserver | void> = {
  metrics,
  log,
  sampled: () => traces(0.01),
  traced: () => traces(1),
};
const observers = process.argv.slice(2).flatMap((name) => known[name]!() ?? []);
await serveEngine({ inventory, orders, observers });
