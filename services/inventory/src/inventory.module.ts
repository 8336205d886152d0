import { Database } from "@emporium/database";
import { Events } from "@emporium/events";
import { type DynamicModule, Module } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { Imports } from "./imports.js";
import { InventoryController } from "./inventory.controller.js";
import { Reservations } from "./reservations.js";
import { ReturnedGoods } from "./returned-goods.js";
import { StockTaking } from "./stock-taking.js";
import { StockWatch } from "./stock-watch.js";

/** What the service's parts share. */
interface Shared {
  database: Database<PrismaClient>;
  events: Events<PrismaClient>;
  settings: Settings;
}

@Module({
  controllers: [InventoryController],
  providers: [Catalogue, Imports, Reservations, ReturnedGoods, StockTaking, StockWatch],
})
export class InventoryModule {
  static with({ database, events, settings }: Shared): DynamicModule {
    return {
      module: InventoryModule,
      providers: [
        { provide: Database, useValue: database },
        { provide: Events, useValue: events },
        { provide: SETTINGS, useValue: settings },
      ],
    };
  }
}
