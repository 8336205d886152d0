import grpc, { Client, type Response, StatusOK, Stream } from "k6/net/grpc";
import { Rate, Trend } from "k6/metrics";
import { settings } from "./settings.ts";
import { authorization } from "./token.ts";

/** Share of calls that failed in a way that the scenario did not expect. */
export const failed = new Rate("rpc_failed");
/** Milliseconds of a call, from its start to its answer. */
export const duration = new Trend("rpc_duration", true);

type Service = "inventory" | "orders" | "checkout";

const services: Record<Service, string> = {
  inventory: "emporium.inventory.v1.InventoryService",
  orders: "emporium.orders.v2.OrderService",
  checkout: "emporium.checkout.v1.CheckoutService",
};

/** One connection a service, as a caller of it would keep. */
const clients: Partial<Record<Service, Client>> = {};

// Files can only be read while k6 starts.
const tls = settings.certFile
  ? { cert: open(settings.certFile), key: open(settings.keyFile), cacerts: [open(settings.caFile)] }
  : undefined;

for (const service of Object.keys(services) as Service[]) {
  const client = new grpc.Client();
  client.loadProtoset(settings.protoset);
  clients[service] = client;
}
const connected = new Set<Service>();

/** The client of a service, connected. */
export function clientOf(service: Service): Client {
  const client = clients[service]!;
  if (!connected.has(service)) {
    // k6 spreads no calls over the addresses of a name, so its virtual users spread over replicas.
    const replicas = settings[service].split(",");
    client.connect(replicas[__VU % replicas.length]!, tls ? { tls } : { plaintext: true });
    connected.add(service);
  }
  return client;
}

/** Closes the connection to a service, with all of its streams: k6 ends one in no other way. */
export function hangUp(service: Service): void {
  clientOf(service).close();
  connected.delete(service);
}

/** Codes that are an answer, not a failure, beside OK. */
export interface Expected {
  codes?: number[];
}

/** Calls a unary method and counts how it went; the reply, where the answer is OK. */
export function call<Reply>(
  service: Service,
  method: string,
  request: object,
  { codes = [] }: Expected = {},
): Reply | undefined {
  const tags = { rpc: method };
  const start = Date.now();
  const answer: Response = clientOf(service).invoke(`${services[service]}/${method}`, request, {
    metadata: authorization(),
    tags,
  });
  duration.add(Date.now() - start, tags);
  const ok = answer.status === StatusOK;
  const good = ok || codes.includes(answer.status);
  failed.add(!good, tags);
  if (!good) console.warn(`${method}: ${JSON.stringify(answer.error)}`);
  return ok ? (answer.message as Reply) : undefined;
}

/** Opens a stream of a method; how it ends is the scenario's to judge. */
export function stream(service: Service, method: string): Stream {
  return new grpc.Stream(clientOf(service), `${services[service]}/${method}`, {
    metadata: authorization(),
    tags: { rpc: method },
  });
}
