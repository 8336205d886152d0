import { randomUUID } from "node:crypto";
import { generate } from "selfsigned";
import { spiffeId, type TlsMaterial, type TlsSource } from "../src/index.js";

const HOUR_MS = 60 * 60_000;

/** What a certificate says; all of it is right unless told otherwise. */
export interface Says {
  uris?: string[];
  notBefore?: Date;
  notAfter?: Date;
  usage?: { serverAuth?: boolean; clientAuth?: boolean };
  selfSigned?: boolean;
}

/** An authority of one test. */
export interface Authority {
  readonly certificate: string;
  /** Makes a certificate of this service or program. */
  issue(name: string, says?: Says): Promise<TlsMaterial>;
}

/** Makes an authority that nobody knows yet. */
export async function newAuthority(): Promise<Authority> {
  // Authorities are told apart by their names.
  const ca = await generate([{ name: "commonName", value: `Test authority ${randomUUID()}` }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  });
  return {
    certificate: ca.cert,
    async issue(name, says = {}) {
      const { uris = [spiffeId(name)], usage = { serverAuth: true, clientAuth: true } } = says;
      const issued = await generate([{ name: "commonName", value: name }], {
        keyType: "ec",
        algorithm: "sha256",
        notBeforeDate: says.notBefore ?? new Date(Date.now() - HOUR_MS),
        notAfterDate: says.notAfter ?? new Date(Date.now() + HOUR_MS),
        ...(!says.selfSigned && { ca: { key: ca.private, cert: ca.cert } }),
        extensions: [
          { name: "keyUsage", digitalSignature: true, critical: true },
          { name: "extKeyUsage", ...usage },
          {
            name: "subjectAltName",
            altNames: [
              ...uris.map((value) => ({ type: 6 as const, value })),
              { type: 2, value: "localhost" },
              { type: 7, ip: "127.0.0.1" },
            ],
          },
        ],
      });
      return {
        certificate: issued.cert,
        privateKey: issued.private,
        certificateAuthorities: ca.cert,
      };
    },
  };
}

/** A source whose certificate a test replaces. */
export function sourceOf(material: TlsMaterial): TlsSource & { replace(by: TlsMaterial): void } {
  let current = material;
  const listeners = new Set<() => void>();
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => listeners.delete(listener) };
    },
    replace(by) {
      current = by;
      for (const tell of listeners) tell();
    },
  };
}
