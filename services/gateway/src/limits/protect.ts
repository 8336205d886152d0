// Limits and security headers that hold for every request.
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import underPressure from "@fastify/under-pressure";
import { HttpException } from "@nestjs/common";
import type { FastifyInstance } from "fastify";
import type { GatewayLimits } from "../config.js";

/** Registers the limits; what they refuse goes through the exception filter. */
export async function protect(server: FastifyInstance, limits: GatewayLimits): Promise<void> {
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    if (request.url.length > limits.urlLength) throw new HttpException("The URL is too long", 414);
  });
  await server.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        imgSrc: ["'self'", "data:"],
        objectSrc: ["'none'"],
      },
    },
  });
  await server.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: "1 minute",
    errorResponseBuilder: () => new HttpException("Too many requests from this address", 429),
  });
  await server.register(underPressure, {
    maxEventLoopDelay: limits.eventLoopDelayMs,
    pressureHandler: () => {
      throw new HttpException("The gateway is at its limit; call again", 503);
    },
  });
}
