export { type GatewayConfig, type GatewayLimits } from "./config.js";
export { everyScope } from "./upstream/public-services.js";
export { create, type RunningGateway } from "./create.js";
