/** Tells the user how things go, beside what the command prints as its result. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a command to its end and exits: 0, or 1 with the reason on standard error. A reason is one
 * message without a stack, unless `LOG_LEVEL` is `debug` or `trace`.
 */
export async function runCommand(usage: string, command: () => Promise<void>): Promise<never> {
  if (process.argv.includes("--help")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    await command();
  } catch (error) {
    const isDetailed = /^(debug|trace)$/.test(process.env.LOG_LEVEL ?? "");
    const known = error instanceof Error ? error : new Error(String(error));
    say((isDetailed && known.stack) || known.message);
    if ("code" in known && String(known.code).startsWith("ERR_PARSE_ARGS")) say(usage);
    process.exit(1);
  }
  process.exit(0);
}
