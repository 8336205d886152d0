// The routes of Connect and gRPC-Web, made from the descriptors.
import type { ConnectRouter } from "@connectrpc/connect";
import { isPublic } from "../upstream/public-services.js";
import type { Upstreams } from "../upstream/upstreams.js";
import { forward } from "./forward.js";

/** Forwards every public method of every service. */
export function connectRoutes(upstreams: Upstreams): (router: ConnectRouter) => void {
  return (router) => {
    for (const service of upstreams.services)
      for (const method of service.methods.filter(isPublic))
        router.rpc(method, forward(method, upstreams.transportOf(method)));
  };
}
