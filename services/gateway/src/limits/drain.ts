// An orderly end: requests in progress get their time before their connections are closed.
import type { FastifyInstance } from "fastify";

/**
 * On close, waits until no request is in progress, at most `graceMs`.
 *
 * @example
 * drainOnClose(server, 10_000);
 */
export function drainOnClose(server: FastifyInstance, graceMs: number): void {
  let open = 0;
  const drained = Promise.withResolvers<void>();
  let closing = false;
  server.addHook("onRequest", (_, reply, done) => {
    open++;
    reply.raw.once("close", () => {
      if (--open === 0 && closing) drained.resolve();
    });
    done();
  });
  server.addHook("preClose", async () => {
    closing = true;
    if (open === 0) return;
    const timer = setTimeout(() => drained.resolve(), graceMs);
    await drained.promise;
    clearTimeout(timer);
  });
}
