import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { currentCall, GrpcServer, type Interceptor, serviceNameOf } from "@emporium/grpc";
import { Certificates } from "@emporium/local";
import { inventory, orders } from "../rpc/servers/handlers.js";
import { served } from "../rpc/served.js";

/** The engine without Nest: in plaintext, or where a folder of certificates is given, with mTLS. */
const [folder] = process.argv.slice(2);
const tls = folder ? await (await Certificates.open(folder)).sourceOf("inventory") : undefined;

/** Asks at every call who calls, as a policy does. */
const askName: Interceptor = (next) => (request) => {
  if (!serviceNameOf(currentCall()?.peerCertificate?.subjectaltname)) throw new Error("Nobody");
  return next(request);
};

const server = new GrpcServer({
  listen: { host: "127.0.0.1", port: 0 },
  ...(tls && { tls, interceptors: [askName] }),
});
server.addService(InventoryService, inventory);
server.addService(OrderService, orders);
const { promise, resolve, reject } = Promise.withResolvers<void>();
server.listen((error) => (error ? reject(error) : resolve()));
await promise;
served(Number(server.address.split(":")[1]));
