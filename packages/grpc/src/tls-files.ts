import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigurationError, readEnvironment } from "@emporium/runtime";
import { z } from "zod";
import { serviceNameOf, spiffeId } from "./spiffe.js";
import type { TlsMaterial, TlsSource } from "./tls.js";

/** Milliseconds between two looks at the files. */
const INTERVAL_MS = 1_000;

/** PEM files, as cert-manager and others keep them up to date. */
export interface TlsFiles {
  /** The certificate, followed by those between it and the authority where there are any. */
  readonly certFile: string;
  /** Its private key. */
  readonly keyFile: string;
  /** The authorities whose signatures are trusted; two of them while one replaces the other. */
  readonly caFile: string;
}

/** A `TlsSource` that knows its files, for clients that read files by themselves. */
export interface FileTlsSource extends TlsSource {
  readonly files: TlsFiles;
}

/** A file that cannot be used for TLS. */
export class TlsFileError extends Error {
  override name = "TlsFileError";

  constructor(
    readonly file: keyof TlsFiles,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/**
 * Takes a certificate from files, and another one when they change, in whatever way: written over,
 * renamed, or behind a link as Kubernetes mounts them. Files that do not fit together (one is new,
 * the other not yet) are looked at again later. Throws `TlsFileError` where they cannot be used now.
 *
 * @example
 * const tls = tlsFromFiles({ certFile: "tls.crt", keyFile: "tls.key", caFile: "ca.crt" });
 * new GrpcServer({ listen, tls });
 */
export function tlsFromFiles(files: TlsFiles): FileTlsSource {
  // Read twice where they were just being replaced.
  let material = readIfUsable(files) ?? read(files);
  const listeners = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const found = readIfUsable(files);
    if (!found || same(found, material)) return;
    material = found;
    for (const tell of listeners) tell();
  };
  return {
    files,
    current: () => material,
    onChange(listener) {
      // A Set would take the same function once only.
      const tell = () => listener();
      listeners.add(tell);
      timer ??= setInterval(look, INTERVAL_MS).unref();
      return {
        [Symbol.dispose]() {
          listeners.delete(tell);
          if (listeners.size > 0) return;
          clearInterval(timer);
          timer = undefined;
        },
      };
    },
  };
}

const variables = { certFile: "TLS_CERT_FILE", keyFile: "TLS_KEY_FILE", caFile: "TLS_CA_FILE" };

const Environment = z.object({
  TLS_CERT_FILE: z.string("a PEM file with the service's certificate").min(1),
  TLS_KEY_FILE: z.string("a PEM file with the certificate's private key").min(1),
  TLS_CA_FILE: z.string("a PEM file with the authorities to trust").min(1),
});

/**
 * The certificate that `TLS_CERT_FILE`, `TLS_KEY_FILE` and `TLS_CA_FILE` name. Throws
 * `ConfigurationError`, with the variable's name, also where it is not this service's certificate.
 *
 * @example
 * const tls = tlsFromEnvironment("orders");
 */
export function tlsFromEnvironment(service: string, environment = process.env): FileTlsSource {
  const env = readEnvironment(Environment, environment);
  try {
    const tls = tlsFromFiles({
      certFile: env.TLS_CERT_FILE,
      keyFile: env.TLS_KEY_FILE,
      caFile: env.TLS_CA_FILE,
    });
    const { subjectAltName } = new X509Certificate(tls.current().certificate);
    if (serviceNameOf(subjectAltName) === service) return tls;
    throw new TlsFileError(
      "certFile",
      `the certificate is for ${subjectAltName ?? "nobody"}, expected URI:${spiffeId(service)}`,
    );
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    throw new ConfigurationError(`${variables[error.file]} is wrong: ${error.message}`, {
      cause: error,
    });
  }
}

function readIfUsable(files: TlsFiles): TlsMaterial | undefined {
  try {
    return read(files);
  } catch {
    return undefined;
  }
}

/** Reads the three and makes sure that they can be used together. */
function read(files: TlsFiles): TlsMaterial {
  const [certificate, privateKey, certificateAuthorities] = (
    ["certFile", "keyFile", "caFile"] as const
  ).map((file) => {
    try {
      return readFileSync(files[file], "utf8");
    } catch (error) {
      throw new TlsFileError(file, `cannot read ${files[file]}: ${messageOf(error)}`, error);
    }
  }) as [string, string, string];
  const own = parse("certFile", "certificate", () => new X509Certificate(certificate));
  const key = parse("keyFile", "private key", () => createPrivateKey(privateKey));
  parse("caFile", "certificate", () => new X509Certificate(certificateAuthorities));
  if (!own.checkPrivateKey(key))
    throw new TlsFileError("keyFile", "the key is not that of the certificate");
  const now = new Date();
  if (own.validToDate < now)
    throw new TlsFileError("certFile", `the certificate expired on ${own.validTo}`);
  if (own.validFromDate > now)
    throw new TlsFileError("certFile", `the certificate is not valid before ${own.validFrom}`);
  return { certificate, privateKey, certificateAuthorities };
}

function parse<Parsed>(file: keyof TlsFiles, what: string, make: () => Parsed): Parsed {
  try {
    return make();
  } catch (error) {
    throw new TlsFileError(file, `expected a ${what} in PEM form`, error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function same(one: TlsMaterial, other: TlsMaterial): boolean {
  return (
    one.certificate === other.certificate &&
    one.privateKey === other.privateKey &&
    one.certificateAuthorities === other.certificateAuthorities
  );
}
