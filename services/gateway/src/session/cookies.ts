import type { FastifyReply, FastifyRequest } from "fastify";

/** The value of a cookie that came with a request. */
export function cookieOf(request: FastifyRequest, name: string): string | undefined {
  for (const pair of request.headers.cookie?.split(";") ?? []) {
    const at = pair.indexOf("=");
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/**
 * Sets a cookie that page script cannot read and other sites cannot send with a request of theirs
 * (RFC 6265bis, 5.6.7); 0 seconds remove it.
 */
export function setCookie(
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  name: string,
  { value, seconds }: { value: string; seconds: number },
): void {
  const secure = request.protocol === "https" ? "; Secure" : "";
  const age = `Max-Age=${Math.max(0, Math.floor(seconds))}`;
  reply.header("set-cookie", `${name}=${value}; Path=/; HttpOnly; SameSite=Lax; ${age}${secure}`);
}
