import { tmpdir } from "node:os";
import { join } from "node:path";
import { Certificates } from "../certificates/certificates.js";
import { Guard } from "../guard/guard.js";
import { temporaryDirectory } from "../temporary.js";
import { type Issuer, signingKeysFile, startIssuer } from "./issuer.js";
import { rotateKeys } from "./signing-keys.js";

/** An issuer that one test has for itself. */
export interface FreshIssuer extends AsyncDisposable {
  readonly issuer: Issuer;
  /** Signs with a new key from now on; `revoke` removes those before. */
  rotateKeys(options?: { revoke?: boolean }): Promise<void>;
}

/**
 * Starts an OIDC issuer of a test's own, for tests that take its keys away, or itself.
 *
 * @example
 * await using own = await freshIssuer();
 * const token = await login(own.issuer, "ada");
 */
export async function freshIssuer(): Promise<FreshIssuer> {
  const folder = await temporaryDirectory(tmpdir(), "emporium-issuer");
  const guard = Guard.start({ remove: folder });
  const certificates = await Certificates.open(join(folder, "certificates"));
  certificates.trustHere();
  const issuer = await startIssuer({
    guard,
    certificates,
    folder: join(folder, "issuer"),
    log: join(folder, "issuer.log"),
  });
  return {
    issuer,
    rotateKeys: (options) => rotateKeys(signingKeysFile(issuer.folder), options),
    [Symbol.asyncDispose]: () => guard[Symbol.asyncDispose](),
  };
}
