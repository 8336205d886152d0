import { ForbiddenException, UnauthorizedException } from "@nestjs/common";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { sendProblem } from "../errors/problem-filter.js";
import { cookieOf, setCookie } from "./cookies.js";
import { CookieSealer } from "./sealed-cookie.js";
import { type PendingSignIn, type Session, SignIn, type SignInOptions } from "./sign-in.js";

/** What these routes refuse has the form of every other error of the gateway. */
const asProblems = {
  errorHandler: (error: unknown, _: FastifyRequest, reply: FastifyReply) =>
    sendProblem(reply, error),
};

const SESSION = "emporium_session";
const PENDING = "emporium_sign_in";

/** How long somebody may take at the issuer. */
const PENDING_SECONDS = 600;

/**
 * Signs people in and out, and gives their token to the calls that their pages make. The token stays in
 * a sealed cookie that page script cannot read, and goes only with requests of this gateway's own pages, so
 * no other site can act for somebody who has signed in.
 */
export function sessionRoutes(server: FastifyInstance, options: SignInOptions): void {
  const sealer = new CookieSealer();
  const signIn = new SignIn(options);
  const sessionOf = (request: FastifyRequest): Session | undefined => {
    const session = sealer.open<Session>(SESSION, cookieOf(request, SESSION));
    return session && session.expires > Date.now() / 1000 ? session : undefined;
  };

  server.addHook("onRequest", async (request) => {
    if (request.headers.authorization !== undefined) return;
    const session = isOwnPage(request) ? sessionOf(request) : undefined;
    if (session) request.raw.headers.authorization = `Bearer ${session.token}`;
  });

  server.get("/auth/sign-in", asProblems, async (request, reply) => {
    // Issuers take any port of the loopback address, but not of its name (RFC 8252, 7.3).
    if (request.hostname === "localhost")
      return reply.redirect(originOf(request).replace("localhost", "127.0.0.1") + request.url);
    const { return: returnTo } = request.query as { return?: string };
    const redirectUri = `${originOf(request)}/callback`;
    const [url, pending] = await signIn.begin(redirectUri, ownPath(returnTo));
    const value = sealer.seal(PENDING, pending);
    setCookie({ request, reply }, PENDING, { value, seconds: PENDING_SECONDS });
    return reply.redirect(url.href);
  });

  server.get("/callback", asProblems, async (request, reply) => {
    const pending = sealer.open<PendingSignIn>(PENDING, cookieOf(request, PENDING));
    if (!pending) throw new UnauthorizedException("No sign-in was begun in this browser");
    const callback = new URL(request.url, originOf(request));
    const session = await signIn.finish(callback, pending).catch((cause: unknown) => {
      throw new UnauthorizedException("The sign-in failed", { cause });
    });
    const seconds = session.expires - Date.now() / 1000;
    const value = sealer.seal(SESSION, session);
    setCookie({ request, reply }, SESSION, { value, seconds });
    setCookie({ request, reply }, PENDING, { value: "", seconds: 0 });
    return reply.redirect(pending.returnTo);
  });

  server.post("/auth/sign-out", asProblems, async (request, reply) => {
    if (!isOwnPage(request)) throw new ForbiddenException("The request comes from another site");
    setCookie({ request, reply }, SESSION, { value: "", seconds: 0 });
    return reply.code(204).send();
  });

  server.get("/auth/session", asProblems, async (request) => {
    const session = sessionOf(request);
    if (!session) throw new UnauthorizedException("Nobody has signed in");
    const { customer, scopes, expires } = session;
    return { customer, scopes, expires: new Date(expires * 1000).toISOString() };
  });
}

/** Browsers say where a request comes from: in Sec-Fetch-Site, and in Origin unless it is a plain GET. */
function isOwnPage(request: FastifyRequest): boolean {
  const { origin } = request.headers;
  if (origin !== undefined) return origin === originOf(request);
  const site = request.headers["sec-fetch-site"];
  if (site !== undefined) return site === "same-origin" || site === "none";
  return request.method === "GET";
}

function originOf(request: FastifyRequest): string {
  return `${request.protocol}://${request.headers.host}`;
}

/** A path of this gateway, never another site's. */
function ownPath(path = "/"): string {
  return /^\/(?![/\\])[\w/.-]*$/.test(path) ? path : "/";
}
