// The WebSocket route of every method whose client streams.
import type { DescMethodStreaming } from "@bufbuild/protobuf";
import websocket from "@fastify/websocket";
import { ForbiddenException } from "@nestjs/common";
import type { FastifyInstance } from "fastify";
import { sendProblem } from "../errors/problem-filter.js";
import { metadataOf } from "../upstream/metadata.js";
import { isPublic } from "../upstream/public-services.js";
import type { Upstreams } from "../upstream/upstreams.js";
import { BridgeCall } from "./bridge-call.js";
import { binaryFrames, jsonFrames } from "./frames.js";

const BINARY = "emporium.binary";
const JSON_TEXT = "emporium.json";

/** What the bridge is told. */
export interface BridgeOptions {
  upstreams: Upstreams;
  /** Most bytes of a frame. */
  maxFrameBytes: number;
  /** What browsers call the gateway; the request's host if absent. */
  publicUrl: string | undefined;
}

/** Serves `/ws/<package.Service>/<Method>` for client streams and bidirectional streams. */
export async function bridgeRoutes(
  server: FastifyInstance,
  { upstreams, maxFrameBytes, publicUrl }: BridgeOptions,
): Promise<void> {
  await server.register(async (scope) => {
    scope.setErrorHandler((error, _, reply) => sendProblem(reply, error));
    await scope.register(websocket, {
      options: {
        maxPayload: maxFrameBytes,
        handleProtocols: (offered: Set<string>) =>
          [BINARY, JSON_TEXT].find((name) => offered.has(name)) ?? false,
      },
    });
    for (const method of upstreams.services.flatMap(({ methods }) => methods)) {
      if (!isPublic(method) || !/^(client|bidi)_streaming$/.test(method.methodKind)) continue;
      const transport = upstreams.transportOf(method);
      scope.get(
        `/ws/${method.parent.typeName}/${method.name}`,
        {
          websocket: true,
          preValidation: async ({ headers, protocol }) => {
            const own = publicUrl ? new URL(publicUrl).origin : `${protocol}://${headers.host}`;
            // A program sends no Origin; a browser always does.
            if (headers.origin !== undefined && headers.origin !== own)
              throw new ForbiddenException(`${headers.origin} may not open a WebSocket here`);
          },
        },
        async (socket, { headers }) => {
          const format = socket.protocol === BINARY ? binaryFrames : jsonFrames;
          const call = new BridgeCall(socket, method as DescMethodStreaming, format);
          await call.run(transport, metadataOf(headers));
        },
      );
    }
  });
}
