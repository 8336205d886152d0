import { bootInfrastructure } from "../src/infrastructure.js";

// A runner to be killed: boots in the directory it is given, and tells when everything runs.
const [directory] = process.argv.slice(2);
try {
  await using infrastructure = await bootInfrastructure({ directory, durable: false });
  const url = await infrastructure.postgres.databases.create("orders");
  process.send?.({ url });
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  process.once("SIGTERM", () => resolve());
  await Promise.race([asked, infrastructure.guard.lost]);
} catch (error) {
  process.send?.({ failed: String(error) });
}
process.disconnect?.();
