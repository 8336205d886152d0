import { runService } from "@emporium/service";
import { configFromEnvironment } from "./config.js";
import { create } from "./create.js";

await runService("orders", () => create(configFromEnvironment()));
