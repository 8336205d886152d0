import { Database } from "@emporium/database";
import { PrismaClient } from "@emporium/inventory/prisma";
import { Reservations } from "@emporium/inventory/reservations";
import { systemClock } from "@emporium/runtime";
import { create } from "@bufbuild/protobuf";
import { StockLineSchema } from "@emporium/contracts/inventory/v1";
import { newReservationId, TTL_MS, type Way } from "./ways.js";

/** The service's own code, from where its controller calls it. */
export async function openGrouped(url: string): Promise<Way> {
  const database = await Database.open<PrismaClient>({
    url,
    client: (adapter) => new PrismaClient({ adapter }),
    applicationName: "grouped",
  });
  const settings = { clock: systemClock, currency: "GBP", reservationTtlMs: TTL_MS };
  const reservations = new Reservations(database, settings);
  return {
    reserve: (lines) =>
      reservations.reserve(
        newReservationId(),
        lines.map((line) => create(StockLineSchema, line)),
      ),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}
