import { ItemsReturnedSchema, OrderCancelledSchema } from "@emporium/contracts/orders/v1";
import { on } from "@emporium/events";
import { type RunningService, Service } from "@emporium/service";
import {
  DEFAULT_RESERVATION_TTL_MS,
  DEFAULT_SWEEP_INTERVAL_MS,
  type InventoryConfig,
} from "./config.js";
import { PrismaClient } from "./generated/prisma/client.js";
import { InventoryModule } from "./inventory.module.js";
import { Reservations } from "./reservations.js";
import { ReturnedGoods } from "./returned-goods.js";
import { Sweep } from "./sweep.js";

/**
 * Starts inventory. Postgres and NATS may come later: health says NOT_SERVING until Postgres is there.
 * The database's tables must be up to date (see `schema`). Rejects where the address is taken.
 *
 * @example
 * await using inventory = await create({ ...config, listen: { host: "127.0.0.1", port: 0 } });
 */
export async function create(config: InventoryConfig): Promise<RunningService> {
  await using service = await Service.open<PrismaClient>({
    name: "inventory",
    config,
    client: (adapter) => new PrismaClient({ adapter }),
  });
  const { database, events, log } = service;
  const { clock = database.clock, currency } = config;
  const { reservationTtlMs = DEFAULT_RESERVATION_TTL_MS } = config;
  const settings = { clock, currency, reservationTtlMs };
  const app = await service.serve(InventoryModule.with({ database, events, settings }));

  const { sweepIntervalMs: intervalMs = DEFAULT_SWEEP_INTERVAL_MS } = config;
  service.use(new Sweep(app.get(Reservations), { intervalMs, log }));
  const returnedGoods = app.get(ReturnedGoods);
  service.use(
    await events.consume({
      name: "inventory-returned-goods",
      from: "orders",
      handlers: [
        on(OrderCancelledSchema, (event, _, tx) => returnedGoods.orderCancelled(tx, event)),
        on(ItemsReturnedSchema, (event, _, tx) => returnedGoods.itemsReturned(tx, event)),
      ],
    }),
  );
  return service.running();
}
