import { attachToken, OwnTokens } from "@emporium/identity";
import { type RunningService, Service } from "@emporium/service";
import type { OrdersConfig } from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { OrdersModule } from "./orders.module.js";

/**
 * Starts orders. Postgres and NATS may come later: health says NOT_SERVING until Postgres is there.
 * The database's tables must be up to date (see `schema`). Rejects where the address is taken.
 *
 * @example
 * await using orders = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: OrdersConfig): Promise<RunningService> {
  const name = "orders";
  await using service = await Service.open<PrismaClient>({
    name,
    config,
    client: (adapter) => new PrismaClient({ adapter }),
  });
  const { database, events } = service;
  const { dataKeys, inventoryAddress, tls, currency } = config;
  const { clock = database.clock, taxRateBasisPoints = 0 } = config;
  await service.serve(
    OrdersModule.with({
      database,
      events,
      dataKeys,
      inventoryAddress,
      tls,
      clients: {
        interceptors: [attachToken(new OwnTokens({ ...config.oidc, clientId: name }))],
        observers: service.clientObservers,
      },
      settings: { clock, currency, taxRateBasisPoints },
    }),
  );
  return service.running();
}
