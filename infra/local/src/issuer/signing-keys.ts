import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { exportJWK, generateKeyPair, type JWK } from "jose";

/** The key that tokens are signed with comes first; the others are published for older tokens. */
interface KeyFile {
  keys: JWK[];
}

/** The keys of a file. */
export async function readKeys(file: string): Promise<KeyFile> {
  return JSON.parse(await readFile(file, "utf8")) as KeyFile;
}

/**
 * Puts a new key before the others, so that tokens are signed with it from now on. The key before
 * stays published, for its tokens' sake, unless `revoke` says that none of them is good any more.
 */
export async function rotateKeys(file: string, { revoke = false } = {}): Promise<void> {
  const known = await readKeys(file).catch(() => ({ keys: [] }));
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  const key = { ...jwk, kid: randomUUID(), alg: "ES256", use: "sig" };
  const keys = revoke ? [key] : [key, ...known.keys.slice(0, 1)];
  await writeFile(`${file}.new`, JSON.stringify({ keys }, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
