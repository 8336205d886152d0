import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v2";
import { Database, DataKeys } from "@emporium/database";
import { Events } from "@emporium/events";
import { GrpcClientModule, type GrpcClientOptions, type TlsSource } from "@emporium/grpc";
import { type DynamicModule, Module } from "@nestjs/common";
import { Catalogue } from "./catalogue.js";
import { CheckoutController } from "./checkout.controller.js";
import { type Settings, SETTINGS } from "./config.js";
import type { PrismaClient } from "./generated/prisma/client.js";
import { LEASE_DATABASE, Leases } from "./leases.js";
import { PAYMENT_PROVIDER, type PaymentProvider } from "./payment/payment-provider.js";
import { Purchases } from "./purchases.js";
import { Quotes } from "./quotes.js";
import { Refunds } from "./refunds.js";
import { SagaRuns } from "./saga-runs.js";
import { ShopSessions } from "./shop-session.js";
import { Timeline } from "./timeline.js";

/** What the service's parts share, and where it finds the others. */
interface Shared {
  database: Database<PrismaClient>;
  leaseDatabase: Database<PrismaClient>;
  events: Events<PrismaClient>;
  dataKeys: DataKeys;
  payments: PaymentProvider;
  inventoryAddress: string;
  ordersAddress: string;
  tls: TlsSource;
  /** Of every client. */
  clients: Pick<GrpcClientOptions, "interceptors" | "observers">;
  settings: Settings;
}

@Module({
  controllers: [CheckoutController],
  providers: [Catalogue, Leases, Purchases, Quotes, Refunds, SagaRuns, ShopSessions, Timeline],
})
export class CheckoutModule {
  static with(shared: Shared): DynamicModule {
    const { database, leaseDatabase, events, dataKeys, payments, settings } = shared;
    const { inventoryAddress, ordersAddress, tls, clients } = shared;
    return {
      module: CheckoutModule,
      imports: [
        GrpcClientModule.register({
          services: [
            {
              service: InventoryService,
              address: inventoryAddress,
              tls: { source: tls, server: "inventory" },
              ...clients,
            },
            {
              service: OrderService,
              address: ordersAddress,
              tls: { source: tls, server: "orders" },
              ...clients,
            },
          ],
        }),
      ],
      providers: [
        { provide: Database, useValue: database },
        { provide: LEASE_DATABASE, useValue: leaseDatabase },
        { provide: Events, useValue: events },
        { provide: DataKeys, useValue: dataKeys },
        { provide: PAYMENT_PROVIDER, useValue: payments },
        { provide: SETTINGS, useValue: settings },
      ],
    };
  }
}
