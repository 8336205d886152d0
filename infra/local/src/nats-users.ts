import { deadLetterPermissions, natsPermissions, type NatsPermissions } from "@emporium/events";
import { spiffeId } from "@emporium/grpc";

/**
 * The users of NATS, by the names in their certificates, each with what it may do. `local` is who
 * runs the server; all others are held to their own subjects. It is the value of
 * `authorization.users` in the server's configuration; `prefix` is what the names of streams and
 * subjects start with, `*` where many shops share it.
 *
 * @example
 * const configuration = `authorization { users: ${natsUsers("emporium")} }`;
 */
export function natsUsers(prefix: string): string {
  const users: Record<string, NatsPermissions> = {
    inventory: natsPermissions({
      prefix,
      source: "inventory",
      consumers: { orders: ["inventory-returned-goods"] },
    }),
    orders: natsPermissions({ prefix, source: "orders", consumers: {} }),
    checkout: natsPermissions({
      prefix,
      source: "checkout",
      consumers: { orders: ["checkout-refunds"] },
    }),
    "dead-letters": deadLetterPermissions(prefix),
    local: { publish: [">"], subscribe: [">"] },
  };
  const entries = Object.entries(users).map(([name, permissions]) =>
    JSON.stringify({ user: spiffeId(name), permissions }),
  );
  return `[\n    ${entries.join(",\n    ")}\n  ]`;
}
