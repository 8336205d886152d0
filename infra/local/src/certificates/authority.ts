import { randomBytes, X509Certificate } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { spiffeId } from "@emporium/grpc";
import { generate } from "selfsigned";
import { makeOnce } from "../temporary.js";

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;

/** How long a certificate is valid. Half of that before, it is due for another. */
const LIFE_MS = DAY_MS;

const AUTHORITY_LIFE_MS = 10 * 365 * DAY_MS;

/** Clocks of two machines may differ by that much. */
const SKEW_MS = 5 * 60_000;

/** A certificate with its key, PEM. */
export interface Issued {
  certificate: string;
  privateKey: string;
}

/**
 * A certificate authority for development, which trusts itself to run on this machine only. In
 * production, its part is that of cert-manager, SPIRE, or whatever signs certificates there.
 */
export class Authority {
  /** PEM; what others have to trust. */
  readonly certificate: string;
  readonly #privateKey: string;

  private constructor(certificate: string, privateKey: string) {
    this.certificate = certificate;
    this.#privateKey = privateKey;
  }

  /** Takes the one that is kept in a folder, or makes one. Its key never leaves the folder. */
  static async open(folder: string): Promise<Authority> {
    await makeOnce(folder, async (place) => {
      // Two shops may be looked at with one program: their authorities are told apart by name.
      const name = `Emporium development ${randomBytes(4).toString("hex")}`;
      const { cert, private: key } = await generate([{ name: "commonName", value: name }], {
        ...ELLIPTIC,
        notBeforeDate: new Date(Date.now() - SKEW_MS),
        notAfterDate: new Date(Date.now() + AUTHORITY_LIFE_MS),
        extensions: [
          { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
          { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
        ],
      });
      await writeFile(join(place, "ca.crt"), cert);
      await writeFile(join(place, "ca.key"), key, { mode: 0o600 });
      await chmod(place, 0o700);
    });
    const read = (file: string) => readFile(join(folder, file), "utf8");
    return new Authority(await read("ca.crt"), await read("ca.key"));
  }

  /** Makes a certificate for a service or program of this name, on this machine. */
  async issue(name: string): Promise<Issued> {
    const issued = await generate([{ name: "commonName", value: name }], {
      ...ELLIPTIC,
      ca: { key: this.#privateKey, cert: this.certificate },
      notBeforeDate: new Date(Date.now() - SKEW_MS),
      notAfterDate: new Date(Date.now() + LIFE_MS),
      extensions: [
        { name: "basicConstraints", cA: false, critical: true },
        { name: "keyUsage", digitalSignature: true, critical: true },
        { name: "extKeyUsage", serverAuth: true, clientAuth: true },
        {
          name: "subjectAltName",
          altNames: [
            { type: 6, value: spiffeId(name) },
            { type: 2, value: name },
            { type: 2, value: "localhost" },
            { type: 7, ip: "127.0.0.1" },
          ],
        },
      ],
    });
    return { certificate: issued.cert, privateKey: issued.private };
  }

  /** Whether a certificate is one of its own and has more than half of its life ahead. */
  isFresh(certificate: string): boolean {
    const parsed = new X509Certificate(certificate);
    const left = parsed.validToDate.getTime() - Date.now();
    return left > LIFE_MS / 2 && parsed.checkIssued(new X509Certificate(this.certificate));
  }
}

const ELLIPTIC = { keyType: "ec", curve: "P-256", algorithm: "sha256" } as const;
