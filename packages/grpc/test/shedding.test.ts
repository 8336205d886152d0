import { Code } from "@connectrpc/connect";
import { RetryInfoSchema } from "@emporium/contracts/google/rpc";
import { Health, HealthCheckResponse_ServingStatus } from "@emporium/contracts/grpc/health/v1";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { expect, test } from "vitest";
import { createGrpcClient, findDetail, GrpcServer, reasonOf } from "../src/index.js";

test("a server at its limit refuses new calls, tells when to come back, and stays healthy", async () => {
  const gate = Promise.withResolvers<void>();
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    shedding: { maxCallsInFlight: 2, maxEventLoopDelayMs: Infinity },
  });
  server.addService(InventoryService, {
    listProducts: async () => {
      await gate.promise;
      return {};
    },
  });
  await new Promise<void>((resolve) => server.listen(() => resolve()));
  using client = createGrpcClient(InventoryService, { address: server.address });
  using health = createGrpcClient(Health, { address: server.address });

  const accepted = [client.listProducts({}), client.listProducts({})];
  await expect.poll(() => server.callsInFlight).toBeGreaterThanOrEqual(2);
  const error: unknown = await client.listProducts({}).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: Code.ResourceExhausted });
  expect(reasonOf(error)?.reason).toBe("OVERLOADED");
  expect(findDetail(error, RetryInfoSchema)?.retryDelay?.nanos).toBeGreaterThan(0);
  expect((error as { metadata: Headers }).metadata.get("grpc-retry-pushback-ms")).toBe("200");
  const { status } = await health.check({});
  expect(status).toBe(HealthCheckResponse_ServingStatus.SERVING);

  gate.resolve();
  await Promise.all(accepted);
  await client.listProducts({});
  await server.close();
});
