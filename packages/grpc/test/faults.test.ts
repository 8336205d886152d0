import { Code } from "@connectrpc/connect";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { expect, test } from "vitest";
import { FaultInjection, type FinishedCall, GrpcServer } from "../src/index.js";
import { handlers, movableEngineClock, startTestServer } from "../src/testing.js";

const on = { GRPC_FAULT_INJECTION: "on" };

function shop(faults: FaultInjection) {
  return startTestServer(
    { interceptors: [faults.interceptor] },
    handlers(InventoryService, {
      listProducts: () => ({}),
      getProduct: () => ({}),
      async *watchStock() {
        for (let revision = 0n; revision < 10n; revision++)
          yield { levels: [{ sku: "85123A", revision }] };
      },
    }),
  );
}

test("faults are refused unless the environment switches them on", () => {
  expect(() => new FaultInjection([], Math.random, {})).toThrow("GRPC_FAULT_INJECTION");
});

test("a rule fails the calls of its method and of no other", async () => {
  const method = "emporium.inventory.v1.InventoryService/ListProducts";
  const faults = new FaultInjection([{ method, code: Code.Aborted }], Math.random, on);
  await using server = await shop(faults);
  const client = server.client(InventoryService);
  await expect(client.listProducts({})).rejects.toMatchObject({ code: Code.Aborted });
  await client.getProduct({ sku: "85123A" });
  faults.rules = [];
  await client.listProducts({});
  expect(faults.injected).toBe(1);
});

test("a share of the calls is hit", async () => {
  let turn = 0;
  const faults = new FaultInjection(
    [{ share: 0.5, code: Code.Aborted }],
    () => (turn++ % 4) / 4,
    on,
  );
  await using server = await shop(faults);
  const client = server.client(InventoryService);
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => client.listProducts({})),
  );
  expect(results.filter(({ status }) => status === "rejected")).toHaveLength(4);
});

test("a stream breaks after so many messages", async () => {
  const faults = new FaultInjection([{ afterMessages: 3, code: Code.DataLoss }], Math.random, on);
  await using server = await shop(faults);
  const seen: bigint[] = [];
  const read = async () => {
    for await (const { levels } of server.client(InventoryService).watchStock({}))
      seen.push(levels[0]!.revision);
  };
  await expect(read()).rejects.toMatchObject({ code: Code.DataLoss });
  expect(seen).toEqual([0n, 1n, 2n]);
});

test("a delay counts against the deadline", async () => {
  const faults = new FaultInjection([{ delayMs: 5_000 }], Math.random, on);
  await using server = await shop(faults);
  const call = server.client(InventoryService).listProducts({}, { timeoutMs: 50 });
  await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
});

test("a reset stream is an error of the transport", async () => {
  const faults = new FaultInjection([{ reset: true }], Math.random, on);
  await using server = await shop(faults);
  const call = server.client(InventoryService).listProducts({}, { timeoutMs: 2_000 });
  await expect(call).rejects.toMatchObject({ code: Code.Internal });
});

test("a stream ends with its contract's longest time, by the clock of the test", async () => {
  const clock = movableEngineClock();
  const ended: FinishedCall[] = [];
  await using server = await startTestServer(
    { clock, observers: [(call) => ended.push(call)] },
    handlers(InventoryService, {
      async *watchStock(_, { signal }) {
        yield { caughtUp: true };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    }),
  );
  expect(server.server).toBeInstanceOf(GrpcServer);
  // An outer deadline that is further away than the contract's hour.
  const watch = server.client(InventoryService).watchStock({}, { timeoutMs: 7_200_000 });
  const messages = watch[Symbol.asyncIterator]();
  await messages.next();
  const end = messages.next();
  clock.advance(3_600_000);
  await expect(end).rejects.toMatchObject({ code: Code.Unavailable });
  expect(ended.map(({ code }) => code)).toEqual(["UNAVAILABLE"]);
});

test("a conversation is given up also while its caller has nothing to say", async () => {
  await using server = await startTestServer(
    {},
    handlers(InventoryService, {
      async *countStock(counts) {
        for await (const { sku } of counts) yield { sku };
      },
    }),
  );
  const leave = new AbortController();
  async function* silence() {
    yield { sku: "85123A", counted: 1n };
    await new Promise<never>(() => {});
  }
  const client = server.client(InventoryService);
  const conversation = client.countStock(silence(), { signal: leave.signal });
  const answers = conversation[Symbol.asyncIterator]();
  await answers.next();
  const next = answers.next();
  leave.abort();
  await expect(next).rejects.toMatchObject({ code: Code.Canceled });
});
