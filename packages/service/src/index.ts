export {
  milliseconds,
  type ServiceConfig,
  serviceConfig,
  serviceEnvironment,
} from "./service-config.js";
export { runService } from "./run-service.js";
export { type RunningService, Service, type ServiceOptions } from "./service.js";
