import { runService } from "@emporium/service";
import { configFromEnvironment } from "./config.js";
import { create } from "./create.js";

await runService("gateway", () => create(configFromEnvironment()));
