import { serveEngine } from "../../engine-server.js";
import { log, metrics } from "../../telemetry/observers.js";
import { inventory, orders } from "./handlers.js";

/** This engine inside Nest with everything on: validation, policy, limits, metrics, a log line a call. */
await serveEngine({ inventory, orders, observers: [metrics(), log()] });
