// The HTTP routes of services, read from google.api.http.
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http, type HttpRule } from "@emporium/contracts/google/api";
import { compilePathTemplate, type PathTemplate } from "./path-template.js";

/** One HTTP method and path by which an RPC can be called. */
export interface Route {
  readonly rpc: DescMethod;
  /** `GET`, or what a custom pattern names. */
  readonly httpMethod: string;
  /** The template as the contract has it. */
  readonly path: string;
  readonly template: PathTemplate;
  /** The field that the body is, `*` for the whole request, empty for no body. */
  readonly body: string;
  /** The field that is the response's body; empty for the whole response. */
  readonly responseBody: string;
}

/** Every route of these services, with additional bindings; the most specific come first. */
export function routesOf(
  services: readonly DescService[],
  isPublic: (method: DescMethod) => boolean = () => true,
): Route[] {
  return services
    .flatMap(({ methods }) => methods)
    .filter((rpc) => isPublic(rpc) && hasOption(rpc, http))
    .flatMap((rpc) => {
      const rule = getOption(rpc, http);
      return [rule, ...rule.additionalBindings].map((binding) => routeOf(rpc, binding));
    })
    .sort((a, b) => b.template.precedence - a.template.precedence);
}

function routeOf(rpc: DescMethod, { pattern, body, responseBody }: HttpRule): Route {
  if (pattern.case === undefined) throw new TypeError(`A binding of ${rpc.name} has no pattern`);
  const { value } = pattern;
  const [httpMethod, path] =
    typeof value === "string"
      ? [pattern.case.toUpperCase(), value]
      : [value.kind.toUpperCase(), value.path];
  return { rpc, httpMethod, path, template: compilePathTemplate(path), body, responseBody };
}
