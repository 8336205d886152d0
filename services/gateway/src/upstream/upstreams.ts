// The connections to the services behind the gateway.
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { type ClientObserver, createGrpcTransport, type TlsSource } from "@emporium/grpc";
import { isPublic, publicServices, type UpstreamName, upstreamNames } from "./public-services.js";

/** How the services are reached. */
export interface UpstreamsOptions {
  /** gRPC name of each service. */
  addresses: Record<UpstreamName, string>;
  /** The gateway's own certificate. */
  tls: TlsSource;
  observers?: ClientObserver[];
}

/** A transport for each public service of the contract. */
export class Upstreams implements Disposable {
  readonly #transports = new Map<DescService, Transport & Disposable>();

  constructor({ addresses, tls, observers = [] }: UpstreamsOptions) {
    for (const name of upstreamNames)
      for (const service of publicServices[name]) {
        const options = { address: addresses[name], tls: { source: tls, server: name }, observers };
        this.#transports.set(service, createGrpcTransport(service, options));
      }
  }

  /** Every service behind the gateway. */
  get services(): DescService[] {
    return [...this.#transports.keys()];
  }

  /** The public method with that full name; `undefined` if there is none. */
  find(service: string, method: string): DescMethod | undefined {
    const desc = this.services.find(({ typeName }) => typeName === service);
    return desc?.methods.find((candidate) => candidate.name === method && isPublic(candidate));
  }

  /** The transport for calls of a method. Throws for a service that is not behind the gateway. */
  transportOf = (method: DescMethod): Transport => {
    const transport = this.#transports.get(method.parent);
    if (!transport) throw new TypeError(`${method.parent.typeName} is not behind the gateway`);
    return transport;
  };

  [Symbol.dispose](): void {
    for (const transport of this.#transports.values()) transport[Symbol.dispose]();
  }
}
