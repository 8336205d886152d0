import { z } from "zod";

/** The environment does not say what the process needs to know. */
export class ConfigurationError extends Error {
  override name = "ConfigurationError";
}

/**
 * Reads a process's configuration from environment variables.
 *
 * Throws `ConfigurationError` with one line for each variable that is missing or wrong: its name,
 * and what is expected (the schema's own words).
 *
 * @example
 * const env = readEnvironment(z.object({ DATABASE_URL: z.url("a postgresql:// URL") }));
 */
export function readEnvironment<Schema extends z.ZodType>(
  schema: Schema,
  environment: Record<string, string | undefined> = process.env,
): z.infer<Schema> {
  const result = schema.safeParse(environment);
  if (result.success) return result.data;
  throw new ConfigurationError(
    result.error.issues
      .map(({ path, message }) => {
        const name = path.join(".");
        const said = environment[name];
        return `${name} ${said === undefined ? "is not set" : "is wrong"}: ${message}`;
      })
      .join("\n"),
  );
}

/**
 * A variable whose text a function reads, such as the path of a file; what the function throws is
 * told as what is wrong.
 *
 * @example
 * z.object({ DATA_KEYS_FILE: readBy("a file with data keys", DataKeys.fromFile) });
 */
export function readBy<Value>(expected: string, read: (text: string) => Value) {
  return z.string(expected).transform((text, context) => {
    try {
      return read(text);
    } catch (error) {
      context.addIssue(`${expected}; ${error instanceof Error ? error.message : String(error)}`);
      return z.NEVER;
    }
  });
}

const MAX_PORT = 65_535;
const ADDRESS = "host:port, such as 127.0.0.1:50051 or [::]:50051";

/**
 * A variable that holds an address to listen on.
 *
 * @example
 * z.object({ GRPC_LISTEN_ADDR: listenAddress.prefault("127.0.0.1:50051") });
 */
export const listenAddress = z
  .string(ADDRESS)
  .regex(/^.+:\d{1,5}$/, ADDRESS)
  .transform((text) => {
    const colon = text.lastIndexOf(":");
    return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= MAX_PORT, ADDRESS);

/**
 * A variable that holds the ISO 4217 code of the shop's prices; GBP where it is not set.
 *
 * @example
 * z.object({ SHOP_CURRENCY: currency });
 */
export const currency = z
  .string()
  .regex(/^[A-Z]{3}$/, "an ISO 4217 code, such as GBP")
  .default("GBP");

/**
 * A variable that holds the least level that is logged; `info` where it is not set.
 *
 * @example
 * z.object({ LOG_LEVEL: logLevel });
 */
export const logLevel = z
  .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
    error: "trace, debug, info, warn, error, fatal or silent",
  })
  .default("info");
