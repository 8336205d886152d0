/**
 * The SQLSTATE of a failed statement, whether it came from `query` or from Prisma; undefined for
 * any other error. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 * @example
 *     if (sqlStateOf(error) === "23505") throw failure(Reason.ALREADY_EXISTS, "…");
 */
export function sqlStateOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; isRecord(at) && depth < 8; depth++) {
    const { code, originalCode, severity } = at;
    if (typeof originalCode === "string") return originalCode;
    if (typeof code === "string" && typeof severity === "string") return code;
    at = isRecord(at["meta"]) ? at["meta"]["driverAdapterError"] : at["cause"];
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
