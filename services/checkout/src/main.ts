import { runProcess } from "@emporium/runtime";
import { configFromEnvironment } from "./config.js";
import { create } from "./create.js";

await runProcess(() => create(configFromEnvironment()));
