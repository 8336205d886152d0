import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { Client } from "pg";

/** Values that must not be told, by their names. */
export type Secrets = Record<string, string>;

/** Fewer characters could be somewhere by chance. */
const SHORTEST = 8;

/**
 * Looks for secrets, as they are and in every form that they may be written in: hexadecimal as
 * Postgres shows bytes, base64 (also as a part of something longer), percent-encoded as in headers.
 *
 * @example
 * new Search({ email: "ada@example.com" }).in("mail.log", "to ada%40example.com"); // ["email in mail.log"]
 */
export class Search {
  readonly #forms: [name: string, forms: Buffer[]][];

  constructor(secrets: Secrets) {
    this.#forms = Object.entries(secrets).map(([name, secret]) => {
      if (secret.length < SHORTEST) throw new Error(`${name} is too short to be looked for`);
      return [name, formsOf(secret)];
    });
  }

  /** Who is found in a text or bytes, each as `<name> in <place>`. */
  in(place: string, content: string | Uint8Array): string[] {
    const bytes = Buffer.from(content as Uint8Array);
    return this.#forms
      .filter(([, forms]) => forms.some((form) => bytes.includes(form)))
      .map(([name]) => `${name} in ${place}`);
  }
}

function formsOf(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      // Without what the bytes before and after have a part in.
      .slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + bytes.length) * 4) / 3)),
  );
  const base64url = base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"));
  const others = [bytes.toString("hex"), encodeURIComponent(secret), JSON.stringify(secret)];
  const texts = new Set([secret, ...others, ...base64, ...base64url]);
  // JSON puts quotation marks around.
  return [...texts].map((text) => Buffer.from(text.replaceAll(/^"|"$/g, "")));
}

/** A file of a folder. */
export interface Found {
  /** From the folder on. */
  path: string;
  content: Buffer;
  /** Whether others than its owner may read it. */
  open: boolean;
}

/** Every file of a folder, as long as it is there. */
export async function* filesOf(folder: string): AsyncGenerator<Found> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    try {
      const [content, { mode }] = await Promise.all([readFile(path), stat(path)]);
      yield { path: relative(folder, path), content, open: (mode & 0o077) !== 0 };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** Every row of every table of a database, bytes as hexadecimal. */
export async function rowsOf(url: string): Promise<string> {
  const client = new Client(url);
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const texts: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: string }>(
        `SELECT to_jsonb(each)::text AS row FROM ${name} AS each`,
      );
      texts.push(name, ...rows.map(({ row }) => row));
    }
    return texts.join("\n");
  } finally {
    await client.end();
  }
}
