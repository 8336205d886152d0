export {
  bootInfrastructure,
  type Infrastructure,
  type InfrastructureOptions,
} from "./infrastructure.js";
export { resolveTool, type ToolSearch } from "./tools/resolve.js";
