// Nest's exception filter of the gateway: whatever it catches leaves as problem details.
import { problemOf } from "@emporium/transcoding";
import { type ArgumentsHost, Catch, type ExceptionFilter } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { refused } from "./refused.js";

@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    sendProblem(host.switchToHttp().getResponse<FastifyReply>(), error);
  }
}

/** Sends what the gateway refuses with, as problem details. */
export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, headers, body } = problemOf(...refused(error));
  return reply.code(status).headers(headers).send(JSON.stringify(body));
}
