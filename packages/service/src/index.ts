export {
  milliseconds,
  type ServiceConfig,
  serviceConfig,
  serviceEnvironment,
} from "./service-config.js";
export { type RunningService, Service, type ServiceOptions } from "./service.js";
