import { setTimeout as delay } from "node:timers/promises";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { Code, ConnectError, createGrpcClient, reasonOf } from "@emporium/grpc";
import { bootShop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import { expect, test } from "vitest";

const price = { currencyCode: "GBP", units: 3n, nanos: 0 };

/** Comes back when the server is at its limit, as one that has just started may be. */
async function admitted<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.ResourceExhausted) throw error;
      await delay(200);
    }
  }
}

test(
  "a process that is told to end drains in order, and a watcher goes on elsewhere",
  { timeout: 120_000 },
  async () => {
    const backing = await testInfrastructure();
    await using shop = await bootShop({
      backing,
      processes: true,
      replicas: { inventory: 2 },
    });
    const [leaving, staying] = shop.replicas.filter(({ service }) => service === "inventory");
    const happened: string[] = [];
    const source = await shop.certificates.sourceOf("test");
    const at = ({ address }: { address: string }) => ({
      address: `dns:///${address}`,
      tls: { source, server: "inventory" },
      interceptors: [backing.by("admin")],
    });
    using health = createGrpcClient(Health, at(leaving!));
    using inventory = createGrpcClient(InventoryService, at(leaving!));

    const states = health.watch({})[Symbol.asyncIterator]();
    expect((await states.next()).value?.status).toBe(Status.SERVING);
    const state = states
      .next()
      .then(({ value }) => happened.push(`health ${Status[value!.status]}`));

    const sku = newId("sku").replace("_", "-");
    const rest = Promise.withResolvers<void>();
    async function* upload() {
      const importId = newId("imp");
      const product = { sku, title: "WHITE METAL LANTERN", unitPrice: price };
      yield { importId, entry: { case: "product" as const, value: product } };
      await rest.promise;
      yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: 5n } } };
    }
    const imported = admitted(() => inventory.importStock(upload())).then(() =>
      happened.push("upload finished"),
    );

    let token = "";
    const watch = async () => {
      for await (const { resumeToken } of inventory.watchStock({})) token = resumeToken;
    };
    const watched = admitted(watch).catch((error: unknown) => {
      happened.push("watch ended");
      return error;
    });
    await expect.poll(() => token, { timeout: 10_000 }).not.toBe("");

    const ended = leaving!.lost.catch((reason: unknown) => String(reason));
    process.kill(leaving!.pid, "SIGTERM");
    const [error] = await Promise.all([watched, state]);
    // On two connections, so either may be heard first; packages/grpc/test/drain.test.ts has the order.
    expect(happened.toSorted()).toEqual(["health NOT_SERVING", "watch ended"]);
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect(reasonOf(error)?.reason).toBe("SHUTTING_DOWN");
    rest.resolve();
    await imported;
    expect(await ended).toContain("ended with code 0");

    using elsewhere = createGrpcClient(InventoryService, at(staying!));
    const resume = async () => {
      for await (const { levels } of elsewhere.watchStock({ resumeToken: token })) {
        const level = levels.find((level) => level.sku === sku);
        if (level) return level.onHand;
      }
      return undefined;
    };
    // What happened after the token, of which the watcher heard nothing.
    expect(await admitted(resume)).toBe(5n);
  },
);
