import { InventoryService } from "@emporium/contracts/inventory/v1";
import { Database, DataKeys } from "@emporium/database";
import { Events } from "@emporium/events";
import { GrpcClientModule, type GrpcClientOptions, type TlsSource } from "@emporium/grpc";
import { type DynamicModule, Module } from "@nestjs/common";
import { Addresses } from "./addresses.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { OrderPages } from "./order-pages.js";
import { OrderWatch } from "./order-watch.js";
import { OrdersV1Controller } from "./orders-v1.controller.js";
import { OrdersController } from "./orders.controller.js";
import { Orders } from "./orders.js";
import { Returns } from "./returns.js";

/** What the service's parts share. */
interface Shared {
  database: Database<PrismaClient>;
  events: Events<PrismaClient>;
  dataKeys: DataKeys;
  inventoryAddress: string;
  tls: TlsSource;
  /** Of every client. */
  clients: Pick<GrpcClientOptions, "interceptors" | "observers">;
  settings: Settings;
}

@Module({
  controllers: [OrdersController, OrdersV1Controller],
  providers: [Addresses, Orders, OrderPages, OrderWatch, Returns],
})
export class OrdersModule {
  static with(shared: Shared): DynamicModule {
    const { database, events, dataKeys, inventoryAddress, tls, clients, settings } = shared;
    return {
      module: OrdersModule,
      imports: [
        GrpcClientModule.register({
          services: [
            {
              service: InventoryService,
              address: inventoryAddress,
              tls: { source: tls, server: "inventory" },
              ...clients,
            },
          ],
        }),
      ],
      providers: [
        { provide: Database, useValue: database },
        { provide: Events, useValue: events },
        { provide: DataKeys, useValue: dataKeys },
        { provide: SETTINGS, useValue: settings },
      ],
    };
  }
}
