import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
/** NIST SP 800-38D, 8.2.2: random nonces of 96 bits are good for 2^32 values under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * First byte of a sealed value. No message of protobuf begins with it (there is no field 0), so that
 * what was stored before there were keys is known for what it is.
 */
const SEALED = 0;

/** A file with keys, as JSON: `{"primary": "2026-11", "keys": {"2026-11": "<32 bytes, base64>"}}`. */
export interface KeyFile {
  primary: string;
  keys: Record<string, string>;
}

/** Where keys come from. */
interface KeySource {
  read(): KeyFile;
  /** Another one than before where the keys may have changed. */
  stamp(): string;
}

/**
 * The keys of a service for what its database must not know in the clear: AES-256-GCM, the id of the
 * key in the value, and the value bound to its place, so that it cannot be moved to another row.
 *
 * New values are sealed with the primary key, and opened with whichever they name. The file is read
 * again when it has changed: nothing is sealed with a key that is not the primary one any more, so an
 * old key may go once nothing is left that it has sealed.
 *
 * @example
 * const keys = DataKeys.fromFile("/run/secrets/data-keys.json");
 * const sealed = keys.seal(toBinary(ShippingAddressSchema, address), `orders/${orderId}`);
 * const opened = keys.open(sealed, `orders/${orderId}`);
 */
export class DataKeys {
  #primary = "";
  #keys = new Map<string, Buffer>();
  #stamp = "";

  private constructor(private readonly source: KeySource) {
    this.#load();
  }

  /** Reads the keys of a file. Throws an error that tells what is wrong with it, and no key. */
  static fromFile(path: string): DataKeys {
    return new DataKeys({
      read: () => JSON.parse(readFileSync(path, "utf8")) as KeyFile,
      stamp() {
        const { ino, mtimeNs } = statSync(path, { bigint: true });
        return `${ino} ${mtimeNs}`;
      },
    });
  }

  /** New keys that live as long as the process does: for tests. */
  static random(): DataKeys {
    const file = withNewKey("test");
    return new DataKeys({ read: () => file, stamp: () => "" });
  }

  /** The id of the key that new values are sealed with. */
  get primary(): string {
    return this.#primary;
  }

  /** Seals a value for its place. */
  seal(value: Uint8Array, place: string): Buffer {
    this.#refresh();
    const id = Buffer.from(this.#primary);
    const nonce = randomBytes(NONCE_BYTES);
    const head = Buffer.concat([Buffer.of(SEALED, id.length), id]);
    const cipher = createCipheriv(CIPHER, this.#keys.get(this.#primary)!, nonce);
    cipher.setAAD(Buffer.concat([head, Buffer.from(place)]));
    return Buffer.concat([head, nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
  }

  /**
   * Opens a value that was sealed for this place; gives back as it is what was never sealed. Throws
   * where the key is not known, or the value is not what was sealed, or was sealed for another place.
   */
  open(value: Uint8Array, place: string): Uint8Array {
    const id = sealedWith(value);
    if (id === undefined) return value;
    if (!this.#keys.has(id)) this.#load();
    const key = this.#keys.get(id);
    if (!key) throw new Error(`The data key ${id} is not known`);
    const head = value.subarray(0, 2 + Buffer.byteLength(id));
    const body = head.length + NONCE_BYTES;
    const decipher = createDecipheriv(CIPHER, key, value.subarray(head.length, body), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.concat([head, Buffer.from(place)]));
    decipher.setAuthTag(value.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(value.subarray(body, -TAG_BYTES)), decipher.final()]);
  }

  #refresh(): void {
    try {
      if (this.source.stamp() !== this.#stamp) this.#load();
    } catch {
      // Away or half written for a moment: the keys at hand are still good.
    }
  }

  #load(): void {
    const stamp = this.source.stamp();
    const { primary, keys } = this.source.read();
    const known = Object.entries(keys).map(
      ([id, key]) => [id, Buffer.from(key, "base64")] as const,
    );
    const wrong = known.find(([id, key]) => key.length !== KEY_BYTES || !/^[\w.-]{1,64}$/.test(id));
    if (wrong) throw new Error(`The data key ${wrong[0]} is not of ${KEY_BYTES} bytes in base64`);
    if (!Object.hasOwn(keys, primary))
      throw new Error(`There is no key for the primary id ${primary}`);
    this.#keys = new Map(known);
    this.#primary = primary;
    this.#stamp = stamp;
  }
}

/** The id of the key that a value was sealed with; `undefined` where it was never sealed. */
export function sealedWith(value: Uint8Array): string | undefined {
  if (value[0] !== SEALED) return undefined;
  return Buffer.from(value.subarray(2, 2 + (value[1] ?? 0))).toString();
}

/**
 * A key file with one more key, which is the primary one from then on.
 *
 * @example
 * writeFileSync(path, JSON.stringify(withNewKey("2026-12", JSON.parse(readFileSync(path, "utf8")))));
 */
export function withNewKey(id: string, file?: KeyFile): KeyFile {
  if (file?.keys[id]) throw new Error(`There is a key ${id} already`);
  return { primary: id, keys: { ...file?.keys, [id]: randomBytes(KEY_BYTES).toString("base64") } };
}
