import type { Interceptor } from "@emporium/grpc";
import { OwnTokens } from "@emporium/identity";
import { decodeJwt } from "jose";
import {
  clientKeyFile,
  isPerson,
  isProgramWithSecret,
  type PersonName,
  type ProgramWithKey,
  type ProgramWithSecret,
  scopesOf,
} from "./accounts.js";
import { clientToken, type IssuerPlace, login } from "./login.js";

/** Anybody whom the local issuer knows. */
export type Principal = PersonName | ProgramWithKey | ProgramWithSecret;

/** Milliseconds before its end from which on a token is replaced. */
const LAST_MS = 60_000;

/**
 * Tokens of everybody whom the local issuer knows, for programs that stand in for them. Each is
 * kept, and replaced before it ends.
 *
 * @example
 * const tokens = new Tokens(shop.issuer);
 * createGrpcClient(OrderService, { address, tls, interceptors: [tokens.of("ada")] });
 */
export class Tokens {
  readonly #held = new Map<Principal, Promise<string>>();

  constructor(readonly issuer: IssuerPlace) {}

  /** A token that is good for a minute at least. */
  async get(principal: Principal): Promise<string> {
    const held = await this.#held.get(principal);
    if (held && decodeJwt(held).exp! * 1000 - LAST_MS > Date.now()) return held;
    const asked = this.#ask(principal);
    this.#held.set(principal, asked);
    asked.catch(() => this.#held.delete(principal));
    return asked;
  }

  /** Puts his token on every call. */
  of(principal: Principal): Interceptor {
    return (next) => async (request) => {
      request.header.set("authorization", `Bearer ${await this.get(principal)}`);
      return next(request);
    };
  }

  #ask(principal: Principal): Promise<string> {
    if (isPerson(principal)) return login(this.issuer, principal);
    if (isProgramWithSecret(principal)) return clientToken(this.issuer, principal);
    const { folder, url } = this.issuer;
    const keyFile = clientKeyFile(folder, principal);
    return new OwnTokens({ issuer: url, clientId: principal, keyFile }).get(scopesOf(principal));
  }
}
