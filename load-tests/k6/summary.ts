import { settings } from "./settings.ts";

/** Writes all that k6 has measured where the command reads it; what people read is made there. */
export function handleSummary(data: unknown): Record<string, string> | undefined {
  if (!settings.summary) return undefined;
  return { [settings.summary]: JSON.stringify(data) };
}
