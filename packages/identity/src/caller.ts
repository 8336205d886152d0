import { createContextKey } from "@connectrpc/connect";
import { EngineReason } from "@emporium/contracts/options/v1";
import { currentCall, engineFailure } from "@emporium/grpc";
import type { Token } from "./token.js";

/** Scope by which a token may deal with what belongs to any customer. */
const SUPPORT = "support";

/** Who is calling: a program with a certificate, on behalf of whom the token names. */
export interface Caller {
  /** The program that made the call, from its certificate: `checkout`. */
  readonly service: string;
  readonly token: Token;
  /** The program that made the call is among the method's `delegates`, whatever the token. */
  readonly byDelegate: boolean;
  /** It finishes what customers began, with a token of its own (`access.delegates`). */
  readonly isDelegate: boolean;
  /** Whether `requireOwner` was asked. */
  ownerAsked: boolean;
}

/** Where the access policy leaves the caller for those who handle the call. */
export const callerKey = createContextKey<Caller | undefined>(undefined, {
  description: "emporium.identity.caller",
});

/** Who made the call that the running code works for; `undefined` outside of any. */
export function currentCaller(): Caller | undefined {
  return currentCall()?.values.get(callerKey);
}

/**
 * Lets the call go on only for the customer that a thing belongs to, or with the scope `support`.
 * To be asked as soon as it is known whose the thing is, and before anything is done with it. A
 * guest's thing, whose customer is empty, is nobody's. Throws FORBIDDEN.
 *
 * Outside of any call the service does its own work (recovery, events), and nobody has to own
 * anything. Code that lost its call on the way would be found out: its answer does not leave.
 *
 * @example
 * const row = await lockOrder(tx, orderId);
 * requireOwner(row.customerId);
 */
export function requireOwner(customerId: string): void {
  const caller = callerOfRunningCall();
  if (!caller) return;
  caller.ownerAsked = true;
  const { isDelegate, token } = caller;
  const isOwner = customerId !== "" && token.subject === customerId && !token.isProgram;
  if (!isOwner && !isDelegate && !token.scopes.has(SUPPORT))
    throw engineFailure(EngineReason.FORBIDDEN, "It belongs to somebody else");
}

/**
 * Lets the call go on only if a program made it that the method names among its `delegates`, by its
 * certificate. For words of a request that nobody else may say. Throws FORBIDDEN.
 */
export function requireDelegate(): void {
  const caller = callerOfRunningCall();
  if (!caller) return;
  caller.ownerAsked = true;
  if (!caller.byDelegate)
    throw engineFailure(
      EngineReason.FORBIDDEN,
      "Only a program that the contract names may say this",
    );
}

/** Lets the call go on only with the scope `support`. Throws FORBIDDEN. */
export function requireSupport(): void {
  const caller = callerOfRunningCall();
  if (caller && !caller.token.scopes.has(SUPPORT))
    throw engineFailure(EngineReason.FORBIDDEN, `The token lacks the scope ${SUPPORT}`);
}

/** Undefined outside of any call: there the service does its own work. */
function callerOfRunningCall(): Caller | undefined {
  const call = currentCall();
  if (!call) return undefined;
  const caller = call.values.get(callerKey);
  if (!caller) throw new Error("No caller is known: the server has no access policy");
  return caller;
}
