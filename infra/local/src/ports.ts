import { once } from "node:events";
import { createServer } from "node:net";
import { threadId } from "node:worker_threads";

/** Below the ports that systems hand out for outgoing connections (Linux: from 32768 on). */
const [LOWEST, HIGHEST] = [20_000, 32_000];

/** How often another free port is tried. */
const ATTEMPTS = 5;

// Processes begin at places far apart, so that two that look for ports at the same moment do not
// find the same one free and both take it.
let next = LOWEST + (((process.pid * 31 + threadId) * 61) % (HIGHEST - LOWEST));

/** The ports that can be fixed, and the environment variables by which `npm start` fixes them. */
export const portSettings = {
  postgres: "POSTGRES_PORT",
  nats: "NATS_PORT",
  issuer: "ISSUER_PORT",
  inventory: "INVENTORY_PORT",
  orders: "ORDERS_PORT",
  checkout: "CHECKOUT_PORT",
  gateway: "GATEWAY_PORT",
} as const;

/** Fixed ports of 127.0.0.1; any free one where one is absent. */
export type Ports = { [Name in keyof typeof portSettings]?: number | undefined };

/** A port that somebody else listens on. */
class PortTakenError extends Error {
  override readonly name = "PortTakenError";

  constructor(name: keyof Ports, port: number) {
    super(`Port ${port} of ${name} is taken; set ${portSettings[name]} to use another`);
  }
}

/** Finds a port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = next + 1 < HIGHEST ? next + 1 : LOWEST;
    if (await isFree(port)) return port;
  }
}

/**
 * Starts a server on a fixed port or a free one, and on another where somebody took that in the
 * meantime.
 */
export async function launchOnPort<Server>(
  launch: (port: number) => Promise<Server>,
  fixed?: number,
): Promise<{ port: number; running: Server }> {
  if (fixed) return { port: fixed, running: await launch(fixed) };
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, running: await launch(port) };
    } catch (error) {
      const isTaken = error instanceof Error && /address already in use/i.test(error.message);
      if (!isTaken || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Rejects with `PortTakenError` where somebody listens on one of these ports. */
export async function checkPorts(ports: Ports): Promise<void> {
  for (const [name, port] of Object.entries(ports))
    if (port && !(await isFree(port))) throw new PortTakenError(name as keyof Ports, port);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
