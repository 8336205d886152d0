export { type Clock, movableClock, type MovableClock, systemClock } from "./clock.js";
export {
  ConfigurationError,
  currency,
  listenAddress,
  logLevel,
  readBy,
  readEnvironment,
} from "./environment.js";
export { type FaultPoint, faultPointsFrom, noFaults } from "./fault-points.js";
export { newId, relatedId } from "./ids.js";
export { createLogger, type Logger, nestLogger } from "./log.js";
export { runProcess } from "./process.js";
