import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@emporium/contracts/grpc/health/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { Code, createGrpcClient, reasonOf } from "@emporium/grpc";
import { bootShop } from "@emporium/local";
import { testInfrastructure } from "@emporium/local/test";
import { newId } from "@emporium/runtime";
import { expect, test } from "vitest";

const price = { currencyCode: "GBP", units: 3n, nanos: 0 };

test(
  "a process that is told to end drains in order, and a watcher goes on elsewhere",
  { timeout: 120_000 },
  async () => {
    await using shop = await bootShop({
      backing: await testInfrastructure(),
      processes: true,
      replicas: { inventory: 2 },
    });
    const [leaving, staying] = shop.replicas.filter(({ service }) => service === "inventory");
    const happened: string[] = [];
    const address = `dns:///${leaving!.address}`;
    const tls = { source: await shop.certificates.sourceOf("test"), server: "inventory" };
    using health = createGrpcClient(Health, { address, tls });
    using inventory = createGrpcClient(InventoryService, { address, tls });

    const states = health.watch({})[Symbol.asyncIterator]();
    expect((await states.next()).value?.status).toBe(Status.SERVING);
    const state = states
      .next()
      .then(({ value }) => happened.push(`health ${Status[value!.status]}`));

    const sku = newId("sku").replace("_", "-");
    const rest = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    async function* upload() {
      const importId = newId("imp");
      const product = { sku, title: "WHITE METAL LANTERN", unitPrice: price };
      yield { importId, entry: { case: "product" as const, value: product } };
      begun.resolve();
      await rest.promise;
      yield { importId, entry: { case: "adjustment" as const, value: { sku, delta: 5n } } };
    }
    const imported = inventory.importStock(upload()).then(() => happened.push("upload finished"));
    await begun.promise;

    let token = "";
    let error: unknown;
    const watched = (async () => {
      try {
        for await (const { resumeToken } of inventory.watchStock({})) token = resumeToken;
      } catch (thrown) {
        error = thrown;
        happened.push("watch ended");
      }
    })();
    await expect.poll(() => token, { timeout: 10_000 }).not.toBe("");

    const ended = leaving!.lost.catch((reason: unknown) => String(reason));
    process.kill(leaving!.pid, "SIGTERM");
    await Promise.all([state, watched]);
    expect(happened).toEqual(["health NOT_SERVING", "watch ended"]);
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect(reasonOf(error)?.reason).toBe("SHUTTING_DOWN");
    rest.resolve();
    await imported;
    expect(await ended).toContain("ended with code 0");

    using elsewhere = createGrpcClient(InventoryService, {
      address: `dns:///${staying!.address}`,
      tls,
    });
    for await (const { levels } of elsewhere.watchStock({ resumeToken: token })) {
      const level = levels.find((level) => level.sku === sku);
      if (!level) continue;
      // What happened after the token, of which the watcher heard nothing.
      expect(level.onHand).toBe(5n);
      break;
    }
  },
);
