import {
  Code,
  ConnectError,
  type EngineClock,
  type Interceptor,
  policyOf,
  realTime,
} from "@emporium/grpc";
import { decodeJwt } from "jose";
import type { OwnTokens } from "./own-tokens.js";

/** Milliseconds that the caller's token must be good for, for a call to be made on it. */
const LONG_ENOUGH_MS = 10_000;

const HEADER = "authorization";

/**
 * Sees to it that every call that a service makes has a token: that of whom it works for, which the
 * engine carries along, while that is good for long enough; else one of its own, with the scopes
 * that the method asks for. So what must be finished is, when the customer is gone, after a restart,
 * or because of an event.
 *
 * @example
 * createGrpcClient(InventoryService, { address, interceptors: [attachToken(own)] });
 */
export function attachToken(own: OwnTokens, clock: EngineClock = realTime): Interceptor {
  return (next) => async (request) => {
    const scopes = policyOf(request.method).access?.scopes;
    if (!scopes || isGoodAt(clock.now() + LONG_ENOUGH_MS, request.header.get(HEADER)))
      return next(request);
    const jwt = await own.get(scopes);
    request.header.set(HEADER, `Bearer ${jwt}`);
    try {
      return await next(request);
    } catch (error) {
      if (error instanceof ConnectError && error.code === Code.Unauthenticated) own.forget(jwt);
      throw error;
    }
  };
}

/** Whether a token that was verified when it came is still good at that time. */
function isGoodAt(time: number, authorization: string | null): boolean {
  const [, jwt] = authorization?.split(" ") ?? [];
  return jwt !== undefined && (decodeJwt(jwt).exp ?? 0) * 1000 > time;
}
