import { type AccessPolicy, EngineReason, Owner } from "@emporium/contracts/options/v1";
import {
  type CallContext,
  currentCall,
  engineFailure,
  type EngineClock,
  type Interceptor,
  policyOf,
  realTime,
  serviceNameOf,
} from "@emporium/grpc";
import { type Caller, callerKey } from "./caller.js";
import { InvalidToken, type Token } from "./token.js";
import type { TokenVerifier } from "./verifier.js";

/** What the access policy needs to decide. */
export interface AccessOptions {
  verifier: Pick<TokenVerifier, "verify">;
  clock?: EngineClock;
}

/**
 * Lets in whom the contract lets in (`access` of `emporium/options/v1/options.proto`), for all four
 * kinds of methods, and before the request is looked at. In this order: a certificate of the trust
 * domain and a valid token, or UNAUTHENTICATED; one of the `callers`; every one of the `scopes`; a
 * method that says nothing is FORBIDDEN to all. A method whose `owner` is a customer sends nothing
 * before `requireOwner` was asked. A stream ends with UNAUTHENTICATED when its token expires.
 *
 * @example
 * new GrpcServer({ ..., interceptors: [contractAccess({ verifier })] });
 */
export function contractAccess({ verifier, clock = realTime }: AccessOptions): Interceptor {
  return (next) => async (request) => {
    const call = currentCall();
    if (!call) throw new Error("The access policy stands in a server's interceptors");
    const policy = policyOf(request.method);
    const caller = await admit(call, policy.access, verifier);
    call.values.set(callerKey, caller);
    if (request.stream) endWithToken(call, caller.token, policy.longestMs, clock);
    const response = await next(request);
    if (policy.access?.owner !== Owner.CUSTOMER) return response;
    if (response.stream)
      return Object.assign(response, { message: onceAsked(caller, response.message) });
    checkAsked(caller);
    return response;
  };
}

async function admit(
  call: CallContext,
  access: AccessPolicy | undefined,
  verifier: AccessOptions["verifier"],
): Promise<Caller> {
  const service = serviceNameOf(call.peerCertificate?.subjectaltname);
  if (!service) throw unauthenticated("A certificate of the trust domain is required");
  const token = await verifiedToken(call, verifier);
  if (!access) throw forbidden("The contract lets nobody call this");
  const { callers, delegates, scopes } = access;
  if (callers.length > 0 && !callers.includes(service))
    throw forbidden(`${service} does not call this`);
  const missing = scopes.filter((scope) => !token.scopes.has(scope));
  if (missing.length > 0) throw forbidden(`The token lacks the scope ${missing.join(" ")}`);
  const byDelegate = delegates.includes(service);
  const isDelegate = byDelegate && token.isProgram && token.subject === service;
  return { service, token, byDelegate, isDelegate, ownerAsked: false };
}

async function verifiedToken(
  { metadata }: CallContext,
  verifier: AccessOptions["verifier"],
): Promise<Token> {
  const given = metadata.get("authorization");
  const [, jwt] = /^Bearer ([\w.-]+)$/i.exec(String(given[0])) ?? [];
  if (given.length !== 1 || !jwt) throw unauthenticated("A bearer token is required");
  try {
    return await verifier.verify(jwt);
  } catch (error) {
    if (!(error instanceof InvalidToken)) throw error;
    // Why stays here: who forges tokens needs no help.
    throw unauthenticated("The token is not valid, or no longer");
  }
}

/** The engine ends every stream at the contract's `longest`; a token that lives on needs no timer. */
function endWithToken(
  call: CallContext,
  { validUntil }: Token,
  longestMs: number,
  clock: EngineClock,
): void {
  const leftMs = validUntil - clock.now();
  // Who left while his token was verified needs no timer either.
  if (leftMs >= longestMs || call.signal.aborted) return;
  const stop = clock.after(leftMs, () =>
    call.end(unauthenticated("The token has expired; go on with a new one")),
  );
  call.signal.addEventListener("abort", stop, { once: true });
}

async function* onceAsked<T>(caller: Caller, messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) {
    checkAsked(caller);
    yield message;
  }
}

function checkAsked({ ownerAsked }: Caller): void {
  if (!ownerAsked)
    throw new Error("The contract says that this is a customer's, and nobody asked whose");
}

function unauthenticated(message: string) {
  return engineFailure(EngineReason.UNAUTHENTICATED, message);
}

function forbidden(message: string) {
  return engineFailure(EngineReason.FORBIDDEN, message);
}
