import type { CallObserver } from "@emporium/grpc";
import { serveEngine } from "../engine-server.js";
import { inventory, orders } from "../rpc/servers/handlers.js";
import { log, metrics } from "./observers.js";

/** The engine with the observers that it is told. */
const known: Record<string, () => CallObserver> = { metrics, log };
const observers = process.argv.slice(2).map((name) => known[name]!());
await serveEngine({ inventory, orders, observers });
