import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts what a browser keeps for the gateway (AES-256-GCM): nobody else reads or changes it. The key
 * is this process's own, so sessions end when the gateway does. `use` is bound to the value: what was
 * sealed as one cookie is not opened as another.
 */
export class CookieSealer {
  readonly #key = randomBytes(32);

  seal(use: string, value: object): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(use));
    const text = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64url");
  }

  /** What was sealed for this use; `undefined` for anything else. */
  open<Value>(use: string, sealed: string | undefined): Value | undefined {
    const bytes = Buffer.from(sealed ?? "", "base64url");
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(use));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
      return JSON.parse(Buffer.concat([text, decipher.final()]).toString("utf8")) as Value;
    } catch {
      return undefined;
    }
  }
}
