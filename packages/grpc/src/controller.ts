import "reflect-metadata";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Controller } from "@nestjs/common";
import { Ctx, MessagePattern, Payload } from "@nestjs/microservices";
import { Observable } from "rxjs";
import { CallContext } from "./call-context.js";

/** What `@GrpcController` leaves with Nest beside the pattern, for the server to find. */
export interface HandlerExtras {
  readonly method: DescMethod;
}

type Handler = (input: unknown, context: HandlerContext) => unknown;
type ControllerClass<Service extends DescService> = abstract new (
  ...dependencies: never[]
) => ServiceImpl<Service>;

/**
 * Makes a class the implementation of a service of the contract.
 *
 * The class has one method for each RPC, as Connect's `ServiceImpl` types them: plain async
 * functions and async generators. Nest's guards, pipes, interceptors and filters apply to it as to
 * any controller. Of a streaming method a Nest interceptor sees one value, the whole stream as an
 * `AsyncIterable`, and its completion or error when the stream has ended.
 *
 * Throws at class definition when an RPC has no method.
 *
 * @example
 * @GrpcController(OrderService)
 * export class OrdersController implements ServiceImpl<typeof OrderService> {
 *   constructor(private readonly orders: Orders) {}
 *   async getOrder({ orderId }: GetOrderRequest, call: HandlerContext) {
 *     return { order: await this.orders.find(orderId, call.signal) };
 *   }
 * }
 */
export function GrpcController<Service extends DescService>(service: Service) {
  return (target: ControllerClass<Service>): void => {
    for (const method of service.methods) {
      const descriptor = findMethod(target.prototype as object, method.localName);
      if (!descriptor)
        throw new Error(`${target.name} has no method ${method.localName} of ${service.typeName}`);
      const handler = descriptor.value as Handler;
      if (method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming")
        descriptor.value = keepOpen(handler);
      Object.defineProperty(target.prototype, method.localName, descriptor);
      // Without these Nest would pass the request alone.
      Payload()(target.prototype as object, method.localName, 0);
      Ctx()(target.prototype as object, method.localName, 1);
      const extras: HandlerExtras = { method };
      MessagePattern(`/${service.typeName}/${method.name}`, undefined, extras as never)(
        target.prototype as object,
        method.localName,
        descriptor,
      );
    }
    Controller()(target);
  };
}

function findMethod(prototype: object | null, name: string): PropertyDescriptor | undefined {
  for (
    let at = prototype;
    at && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  ) {
    const descriptor = Object.getOwnPropertyDescriptor(at, name);
    if (typeof descriptor?.value === "function") return descriptor;
  }
  return undefined;
}

/**
 * A generator fails while it is read, long after it was returned. For Nest's filters and
 * interceptors to see that, an incoming call gets an Observable of one value, the stream, which the
 * engine completes or fails when the stream has. Anyone else who calls the method, another handler of the
 * same call included, gets the stream itself.
 */
function keepOpen(handler: Handler): Handler {
  const wrapped: Handler = function (this: unknown, input, context) {
    const incoming = context instanceof CallContext && context.enter();
    const stream = handler.call(this, input, context) as AsyncIterable<unknown>;
    if (!incoming) return stream;
    return new Observable((subscriber) => {
      context.openStream = subscriber;
      subscriber.next(stream);
    });
  };
  for (const key of Reflect.getMetadataKeys(handler) as unknown[])
    Reflect.defineMetadata(key, Reflect.getMetadata(key, handler), wrapped);
  Object.defineProperty(wrapped, "name", { value: handler.name });
  return wrapped;
}
