// Path templates of google.api.http: https://github.com/googleapis/googleapis/blob/master/google/api/http.proto

/** A path template, ready to match paths. */
export interface PathTemplate {
  /** The values of the variables by field path, decoded; `undefined` if the path does not match. */
  match(path: string): Record<string, string> | undefined;
  /** Field paths of the variables, in order. */
  readonly variables: readonly string[];
  /** The custom verb after the last colon, `watch`; empty if there is none. */
  readonly verb: string;
  /** Sorts templates: a template with a larger number is tried first. */
  readonly precedence: number;
}

const VARIABLE = /\{([^=}]+)(?:=([^}]+))?\}/g;
const VERB = /:([^:/{}]+)$/;

/**
 * Compiles a template. `*` matches one segment, `**` any number at the end. Throws `TypeError` for a
 * template that the grammar does not allow.
 *
 * @example
 * compilePathTemplate("/v1/{name=shelves/*}:move").match("/v1/shelves/7:move"); // { name: "shelves/7" }
 */
export function compilePathTemplate(template: string): PathTemplate {
  if (!template.startsWith("/")) throw new TypeError(`${template} does not begin with a slash`);
  const verb = VERB.exec(template)?.[1] ?? "";
  const path = verb ? template.slice(0, -verb.length - 1) : template;
  const variables: string[] = [];
  const multiple: boolean[] = [];
  let source = "";
  let end = 0;
  for (const found of path.matchAll(VARIABLE)) {
    const [whole, name = "", segments = "*"] = found;
    source += patternOf(path.slice(end, found.index)) + `(${patternOf(segments)})`;
    variables.push(name.trim());
    multiple.push(segments !== "*");
    end = found.index + whole.length;
  }
  source += patternOf(path.slice(end));
  if (/[{}]/.test(path.replaceAll(VARIABLE, "")))
    throw new TypeError(`${template} has a brace without its partner`);
  const pattern = new RegExp(`^${source}${verb && `:${escaped(verb)}`}$`);
  return {
    variables,
    verb,
    precedence: (verb ? 1_000 : 0) + path.replaceAll(VARIABLE, "").length - variables.length,
    match(given) {
      const values = pattern.exec(given);
      if (!values) return undefined;
      const decoded = variables.map((name, index) => {
        const value = values[index + 1] ?? "";
        return [name, multiple[index] ? decodeSegments(value) : decodeURIComponent(value)];
      });
      return Object.fromEntries(decoded) as Record<string, string>;
    },
  };
}

function patternOf(segments: string): string {
  return segments
    .split("/")
    .map((segment) => (segment === "**" ? ".*" : segment === "*" ? "[^/]+" : escaped(segment)))
    .join("/");
}

/** A slash that was encoded stays encoded: it is no separator. */
function decodeSegments(value: string): string {
  return value
    .split(/(%2F)/i)
    .map((part) => (/^%2F$/i.test(part) ? part : decodeURIComponent(part)))
    .join("");
}

function escaped(literal: string): string {
  return literal.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
