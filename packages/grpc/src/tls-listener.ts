import type { Socket } from "node:net";
import { createServer, type TlsOptions, type TLSSocket } from "node:tls";
import type { ServerLimits } from "./limits.js";
import type { Refusal } from "./refusals.js";
import { serviceNameOf } from "./spiffe.js";
import type { TlsSource } from "./tls.js";

/** Makes peers prove who they are before they can send a call. */
export interface TlsGate extends Disposable {
  /** Takes a new connection. */
  take(socket: Socket): void;
}

/** Told what becomes of the connections that a `TlsGate` takes. */
export interface TlsVisitors {
  /** The handshake is done, with a certificate of this system. */
  letIn(socket: TLSSocket): void;
  refuse(cause: Refusal, peer: string | undefined): void;
}

/**
 * Gives those peers through that have a certificate of this system, and closes all others. New
 * connections use the certificate that is current then.
 */
export function tlsGate(source: TlsSource, limits: ServerLimits, visitors: TlsVisitors): TlsGate {
  const server = createServer(optionsOf(source, limits));
  server.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    if (isOurs(socket, source)) return visitors.letIn(socket);
    visitors.refuse("stranger", socket.remoteAddress);
    socket.destroy();
  });
  server.on("tlsClientError", (_error, socket) => {
    visitors.refuse("handshake", socket.remoteAddress);
    socket.destroy();
  });
  const subscription = source.onChange(() => server.setSecureContext(optionsOf(source, limits)));
  return {
    take: (socket) => void server.emit("connection", socket),
    [Symbol.dispose]: () => subscription[Symbol.dispose](),
  };
}

function optionsOf(source: TlsSource, { handshakeTimeoutMs }: ServerLimits): TlsOptions {
  const { certificate, privateKey, certificateAuthorities } = source.current();
  return {
    cert: certificate,
    key: privateKey,
    ca: certificateAuthorities,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["h2"],
    handshakeTimeout: handshakeTimeoutMs,
  };
}

/** Whether the peer's certificate, which is verified by now, bears a name of this system. */
function isOurs(socket: TLSSocket, { nameOf = serviceNameOf }: TlsSource): boolean {
  if (!socket.authorized || socket.alpnProtocol !== "h2") return false;
  const certificate = socket.getPeerCertificate();
  // It stays what it is for as long as the connection lasts, and is asked for at every call.
  socket.getPeerCertificate = () => certificate as never;
  return nameOf(certificate.subjectaltname) !== undefined;
}
