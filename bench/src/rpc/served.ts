/** A server program's end of the conversation with the bench. */
export function served(port: number): void {
  process.send?.({ port });
  process.on("message", (asked) => {
    if (asked === "usage") {
      const { user, system } = process.cpuUsage();
      process.send?.({ cpuMicros: user + system, rss: process.memoryUsage.rss() });
    }
  });
  process.on("disconnect", () => process.exit(0));
}
