// Serves the built console; a path that is no file is a page of the console's own router.
import { basename } from "node:path";
import fastifyStatic from "@fastify/static";
import { NotFoundException } from "@nestjs/common";
import type { FastifyInstance } from "fastify";

/** Serves a folder at the root. A page is `index.html`; a missing file is a 404. */
export async function consolePages(server: FastifyInstance, folder: string): Promise<void> {
  await server.register(fastifyStatic, { root: folder, wildcard: false, serve: false });
  server.get("/*", (request, reply) => {
    const [path = "/"] = request.url.split("?");
    if (basename(path).includes(".")) return reply.sendFile(path.slice(1));
    const { accept = "*/*" } = request.headers;
    if (path !== "/" && !accept.includes("text/html"))
      throw new NotFoundException(`Nothing is at ${path}`);
    return reply.sendFile("index.html");
  });
}
