import * as grpc from "@grpc/grpc-js";
import { serviceNameOf, spiffeId } from "./spiffe.js";

/** A certificate, its key, and whose signatures are trusted; all PEM. */
export interface TlsMaterial {
  readonly certificate: string;
  readonly privateKey: string;
  readonly certificateAuthorities: string;
}

/** Where a process has its certificate from; see `tlsFromFiles`. */
export interface TlsSource {
  /** What new connections use. */
  current(): TlsMaterial;
  /** Calls back whenever there is another, until disposed of. */
  onChange(listener: () => void): Disposable;
}

/** How a client makes sure of its server, and the server of it. */
export interface ClientTls {
  /** The client's own certificate. */
  source: TlsSource;
  /** The service that must be at the other end, such as `inventory`, whatever its address. */
  server: string;
}

/** Clients of the same server share their connections where they have the same credentials. */
const known = new WeakMap<TlsSource, Map<string, grpc.ChannelCredentials>>();

/**
 * Credentials of a channel that is TLS in both directions. Each new connection uses the certificate
 * that is current then. The server's name is the URI in its certificate: addresses come and go.
 */
export function channelCredentials({ source, server }: ClientTls): grpc.ChannelCredentials {
  const ofSource = known.get(source) ?? new Map<string, grpc.ChannelCredentials>();
  known.set(source, ofSource);
  const present = ofSource.get(server);
  if (present) return present;
  const provider = new CertificateProvider(source);
  const credentials = grpc.experimental.createCertificateProviderChannelCredentials(
    provider,
    provider,
    {
      checkServerIdentity: (host, { subjectaltname }) =>
        serviceNameOf(subjectaltname) === server
          ? undefined
          : new Error(`${host} is not ${spiffeId(server)}: its certificate says ${subjectaltname}`),
    },
  );
  ofSource.set(server, credentials);
  return credentials;
}

type CaListener = grpc.experimental.CaCertificateUpdateListener;
type IdentityListener = grpc.experimental.IdentityCertificateUpdateListener;

/** A `TlsSource` as grpc-js asks for it (gRFC A29). */
class CertificateProvider implements grpc.experimental.CertificateProvider {
  readonly #subscriptions = new Map<CaListener | IdentityListener, Disposable>();

  constructor(private readonly source: TlsSource) {}

  addCaCertificateListener(listener: CaListener): void {
    this.#add(listener, ({ certificateAuthorities }) =>
      listener({ caCertificate: Buffer.from(certificateAuthorities) }),
    );
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#add(listener, ({ certificate, privateKey }) =>
      listener({ certificate: Buffer.from(certificate), privateKey: Buffer.from(privateKey) }),
    );
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#remove(listener);
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#remove(listener);
  }

  #add(listener: CaListener | IdentityListener, tell: (material: TlsMaterial) => void): void {
    const update = () => tell(this.source.current());
    this.#subscriptions.set(listener, this.source.onChange(update));
    update();
  }

  #remove(listener: CaListener | IdentityListener): void {
    this.#subscriptions.get(listener)?.[Symbol.dispose]();
    this.#subscriptions.delete(listener);
  }
}
