export { invalidField } from "./invalid-field.js";
export { compilePathTemplate, type PathTemplate } from "./path-template.js";
export { type Problem, problemOf, statusJson } from "./problem.js";
export { type Route, routesOf } from "./routes.js";
export {
  type RestRequest,
  type RestResponse,
  Transcoder,
  type TranscoderOptions,
} from "./transcoder.js";
