// REST and JSON: everything that is under the paths of google.api.http.
import { Readable } from "node:stream";
import { Transcoder } from "@emporium/transcoding";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { sendProblem } from "../errors/problem-filter.js";
import { isPublic } from "../upstream/public-services.js";
import { metadataOf } from "../upstream/metadata.js";
import type { Upstreams } from "../upstream/upstreams.js";

/** Serves the contract's HTTP routes; the transcoder decides what is there. */
export async function restRoutes(server: FastifyInstance, upstreams: Upstreams): Promise<void> {
  const { services, transportOf } = upstreams;
  const transcoder = new Transcoder({ services, transportOf, isPublic });
  await server.register(async (scope) => {
    scope.setErrorHandler((error, _, reply) => sendProblem(reply, error));
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("application/json", { parseAs: "string" }, (_, body, done) =>
      done(null, body),
    );
    const answer = (request: FastifyRequest, reply: FastifyReply) =>
      respond(transcoder, request, reply);
    for (const prefix of prefixesOf(transcoder)) {
      scope.all(`${prefix}/*`, answer);
      scope.all(`${prefix}:*`, answer);
    }
  });
}

/** `/v1`, `/v2`: the first segments of all routes. */
function prefixesOf({ routes }: Transcoder): Set<string> {
  return new Set(routes.map(({ path }) => `/${path.split(/[/:]/)[1]}`));
}

async function respond(transcoder: Transcoder, request: FastifyRequest, reply: FastifyReply) {
  const leaving = new AbortController();
  reply.raw.once("close", () => leaving.abort());
  const { status, headers, metadata, body } = await transcoder.handle({
    method: request.method,
    url: request.url,
    headers: new Headers(request.headers as Record<string, string>),
    metadata: metadataOf(request.headers),
    body: typeof request.body === "string" ? request.body : "",
    signal: leaving.signal,
  });
  reply.code(status).headers(headers);
  for (const [name, value] of metadataOf(metadata)) reply.header(name, value);
  return reply.send(typeof body === "string" ? body : Readable.from(body));
}
