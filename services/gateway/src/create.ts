// Starts a gateway.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { createLogger, nestLogger } from "@emporium/runtime";
import { NestFactory } from "@nestjs/core";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { bridgeRoutes } from "./bridge/routes.js";
import { defaultLimits, type GatewayConfig } from "./config.js";
import { connectRoutes } from "./connect/routes.js";
import { ProblemFilter } from "./errors/problem-filter.js";
import { GatewayModule } from "./gateway.module.js";
import { protect } from "./limits/protect.js";
import { drainOnClose } from "./limits/drain.js";
import { consolePages } from "./pages/console-pages.js";
import { restRoutes } from "./rest/routes.js";
import { sessionRoutes } from "./session/routes.js";
import { Upstreams } from "./upstream/upstreams.js";

/** A gateway that runs in this process; disposing it drains it. */
export interface RunningGateway extends AsyncDisposable {
  readonly name: "gateway";
  /** `host:port` that it listens on. */
  readonly address: string;
}

/**
 * Starts the gateway. The services and the issuer may come later. Rejects if the address is taken.
 *
 * @example
 * await using gateway = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: GatewayConfig): Promise<RunningGateway> {
  const limits = { ...defaultLimits, ...config.limits };
  const log = createLogger({ name: "gateway", level: config.logLevel });
  await using parts = new AsyncDisposableStack();
  const upstreams = parts.use(new Upstreams({ addresses: config.addresses, tls: config.tls }));
  const app = await NestFactory.create<NestFastifyApplication>(
    GatewayModule.with(),
    new FastifyAdapter({
      bodyLimit: limits.bodyBytes,
      requestTimeout: limits.requestMs,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: limits.urlLength },
      http: { maxHeaderSize: limits.headerBytes },
      genReqId: () => randomUUID(),
    }),
    { logger: nestLogger(log), abortOnError: false, bodyParser: false },
  );
  app.useGlobalFilters(new ProblemFilter());
  parts.defer(() => app.close());
  const server = app.getHttpAdapter().getInstance();
  await protect(server, limits);
  drainOnClose(server, config.shutdownGraceMs);
  if (config.signIn) sessionRoutes(server, config.signIn);
  await server.register(fastifyConnectPlugin, {
    routes: connectRoutes(upstreams),
    grpc: false,
    readMaxBytes: limits.bodyBytes,
  });
  await restRoutes(server, upstreams);
  await bridgeRoutes(server, {
    upstreams,
    maxFrameBytes: limits.bodyBytes,
    publicUrl: config.publicUrl,
  });
  await consolePages(server, config.consoleFolder ?? join(import.meta.dirname, "../public"));
  await app.listen(config.listen.port, config.listen.host);
  const { host } = new URL(await app.getUrl());
  log.info({ address: host }, "Serving");
  const running = parts.move();
  return {
    name: "gateway",
    address: host,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
