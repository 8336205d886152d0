import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FileTlsSource, tlsFromFiles, type TlsFiles } from "@emporium/grpc";
import { exists, makeOnce } from "../temporary.js";
import { Authority, type Issued } from "./authority.js";

/** Milliseconds between two looks for certificates that are due. */
const INTERVAL_MS = 15 * 60_000;

/**
 * The certificates of a shop: a folder for each service and program, with the names that
 * cert-manager gives the files, and one for the authority that signs them.
 *
 * @example
 * const certificates = await Certificates.open(join(directory, "certificates"));
 * const { certFile, keyFile, caFile } = await certificates.filesOf("orders");
 */
export class Certificates {
  readonly folder: string;
  readonly #authority: Authority;

  private constructor(folder: string, authority: Authority) {
    this.folder = folder;
    this.#authority = authority;
  }

  /** Opens those that are kept in a folder, or makes an authority that has signed none yet. */
  static async open(folder: string): Promise<Certificates> {
    await mkdir(folder, { recursive: true });
    return new Certificates(folder, await Authority.open(join(folder, "authority")));
  }

  /** The files of a service or program, with a certificate in its first half of life. */
  async filesOf(name: string): Promise<TlsFiles> {
    const place = join(this.folder, name);
    const files = {
      certFile: join(place, "tls.crt"),
      keyFile: join(place, "tls.key"),
      caFile: join(place, "ca.crt"),
    };
    await makeOnce(place, async (temporary) => {
      await writeFile(join(temporary, "ca.crt"), this.#authority.certificate);
      await write(temporary, await this.#authority.issue(name));
    });
    if (!this.#authority.isFresh(await readFile(files.certFile, "utf8"))) await this.#replace(name);
    return files;
  }

  /** The same for a program in this process. */
  async sourceOf(name: string): Promise<FileTlsSource> {
    return tlsFromFiles(await this.filesOf(name));
  }

  /** Replaces all certificates by new ones, with new keys; who uses them takes them within seconds. */
  async rotate(): Promise<string[]> {
    const names = await this.#names();
    await Promise.all(names.map((name) => this.#replace(name)));
    return names;
  }

  /** Replaces certificates in their second half of life, until disposed of. */
  keepFresh(onError: (error: unknown) => void): Disposable {
    const renew = async () => {
      for (const name of await this.#names()) await this.filesOf(name);
    };
    const timer = setInterval(() => void renew().catch(onError), INTERVAL_MS).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  async #names(): Promise<string[]> {
    const folders = await readdir(this.folder, { withFileTypes: true });
    const names = folders.filter((each) => each.isDirectory()).map(({ name }) => name);
    const issued = await Promise.all(
      names.map((name) => exists(join(this.folder, name, "tls.crt"))),
    );
    return names.filter((_, index) => issued[index]);
  }

  /** Whoever reads between the two files sees that they do not fit, and looks again. */
  async #replace(name: string): Promise<void> {
    await write(join(this.folder, name), await this.#authority.issue(name));
  }
}

async function write(folder: string, { certificate, privateKey }: Issued): Promise<void> {
  const files = [
    ["tls.key", privateKey],
    ["tls.crt", certificate],
  ] as const;
  for (const [file, content] of files) {
    const path = join(folder, file);
    await writeFile(`${path}.new`, content, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}
