export { type GatewayConfig, type GatewayLimits } from "./config.js";
export { create, type RunningGateway } from "./create.js";
