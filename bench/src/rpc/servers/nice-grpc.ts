import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { InventoryService } from "@emporium/contracts/inventory/v1";
import { OrderService } from "@emporium/contracts/orders/v1";
import { createServer } from "nice-grpc";
import { served } from "../served.js";
import { inventory, orders } from "./handlers.js";

/** nice-grpc with protobuf-es messages, through its generic service definitions. */
function definitionOf(service: { typeName: string; methods: DescMethod[] }, names: string[]) {
  return Object.fromEntries(
    service.methods
      .filter(({ localName }) => names.includes(localName))
      .map((method) => [
        method.localName,
        {
          path: `/${service.typeName}/${method.name}`,
          requestStream:
            method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
          responseStream:
            method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
          requestSerialize: (message: Message) => toBinary(method.input, message),
          requestDeserialize: (bytes: Uint8Array) => fromBinary(method.input, bytes),
          responseSerialize: (fields: object) =>
            toBinary(method.output, create(method.output, fields as never)),
          responseDeserialize: (bytes: Uint8Array) => fromBinary(method.output, bytes),
          options: {},
        },
      ]),
  );
}

const server = createServer({ "grpc.enable_channelz": 0 });
server.add(definitionOf(OrderService, Object.keys(orders)) as never, orders as never);
server.add(definitionOf(InventoryService, Object.keys(inventory)) as never, inventory as never);
served(await server.listen("127.0.0.1:0"));
