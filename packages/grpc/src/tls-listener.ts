import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type TlsOptions, type TLSSocket } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { serviceNameOf } from "./spiffe.js";
import type { TlsSource } from "./tls.js";

/** Milliseconds that a peer has to prove who it is. */
const HANDSHAKE_LIMIT_MS = 10_000;

/** A port that is listened on. */
export interface TlsListener {
  readonly port: number;
  /**
   * Takes no more connections, and resolves when those that there are have ended. It ends none of
   * them: that is grpc-js's part, which knows of no connection that was given to it when it tells
   * that it has shut down.
   */
  close(): Promise<void>;
}

/**
 * Listens for peers that prove by a certificate that they are of this system, and gives their
 * connections to a grpc-js server. All others are closed before they can send a call. New
 * connections use the certificate that is current then. Rejects where the port is taken.
 *
 * grpc-js could listen by itself, but would look at a certificate at each call only, which costs as
 * much as the call: Node makes an object of it anew each time.
 */
export async function listenTls(
  server: grpc.Server,
  source: TlsSource,
  { host, port }: { host: string; port: number },
): Promise<TlsListener> {
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = createServer(optionsOf(source));
  listener.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    if (listener.listening && isOurs(socket)) injector.injectConnection(socket);
    else socket.destroy();
  });
  const subscription = source.onChange(() => listener.setSecureContext(optionsOf(source)));
  try {
    listener.listen(port, host.replace(/^\[(.*)\]$/, "$1"));
    await once(listener, "listening");
  } catch (error) {
    subscription[Symbol.dispose]();
    throw error;
  }
  return {
    port: (listener.address() as AddressInfo).port,
    close() {
      subscription[Symbol.dispose]();
      return new Promise((resolve) => listener.close(() => resolve()));
    },
  };
}

function optionsOf(source: TlsSource): TlsOptions {
  const { certificate, privateKey, certificateAuthorities } = source.current();
  return {
    cert: certificate,
    key: privateKey,
    ca: certificateAuthorities,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["h2"],
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
  };
}

/** Whether the peer's certificate, which is verified by now, bears a name of this system. */
function isOurs(socket: TLSSocket): boolean {
  if (!socket.authorized || socket.alpnProtocol !== "h2") return false;
  const certificate = socket.getPeerCertificate();
  // It stays what it is for as long as the connection lasts, and is asked for at every call.
  socket.getPeerCertificate = () => certificate as never;
  return serviceNameOf(certificate.subjectaltname) !== undefined;
}
