import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationError } from "@emporium/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type FileTlsSource,
  type TlsFiles,
  type TlsMaterial,
  tlsFromEnvironment,
  tlsFromFiles,
} from "../src/index.js";
import { type Authority, newAuthority } from "./authority.js";

/** Certificates that come from files, which others keep up to date. */
const DAY_MS = 24 * 60 * 60_000;

let authority: Authority;
let folder: string;

beforeAll(async () => {
  authority = await newAuthority();
  folder = await mkdtemp(join(tmpdir(), "tls-files-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

let folders = 0;

/** Writes the three files to a folder of their own. */
async function write(material: TlsMaterial, place = join(folder, String(++folders))) {
  await mkdir(place, { recursive: true });
  const files = filesIn(place);
  await writeFile(files.certFile, material.certificate);
  await writeFile(files.keyFile, material.privateKey);
  await writeFile(files.caFile, material.certificateAuthorities);
  return files;
}

const filesIn = (place: string): TlsFiles => ({
  certFile: join(place, "tls.crt"),
  keyFile: join(place, "tls.key"),
  caFile: join(place, "ca.crt"),
});

const environmentOf = (files: TlsFiles) => ({
  TLS_CERT_FILE: files.certFile,
  TLS_KEY_FILE: files.keyFile,
  TLS_CA_FILE: files.caFile,
});

/** Resolves at the next change. */
async function changeOf(source: FileTlsSource): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  using _ = source.onChange(resolve);
  await promise;
}

test("files that are written over are taken when all of them fit together", async () => {
  const [first, second] = await Promise.all([authority.issue("orders"), authority.issue("orders")]);
  const files = await write(first);
  const source = tlsFromFiles(files);
  expect(source.current()).toEqual(first);
  const changed = changeOf(source);
  await writeFile(files.certFile, second.certificate);
  await writeFile(files.keyFile, second.privateKey);
  await changed;
  expect(source.current()).toEqual(second);
});

test("files behind a link that is swapped, as in a Kubernetes volume, are taken", async () => {
  const [first, second] = await Promise.all([authority.issue("orders"), authority.issue("orders")]);
  const volume = join(folder, String(++folders));
  await write(first, join(volume, "..1"));
  await symlink("..1", join(volume, "..data"));
  const names = ["tls.crt", "tls.key", "ca.crt"];
  await Promise.all(names.map((name) => symlink(join("..data", name), join(volume, name))));
  const source = tlsFromFiles(filesIn(volume));
  const changed = changeOf(source);
  await write(second, join(volume, "..2"));
  await symlink("..2", join(volume, "..data_tmp"));
  await rename(join(volume, "..data_tmp"), join(volume, "..data"));
  await changed;
  expect(source.current()).toEqual(second);
});

test("a source tells every listener, once each, and none that has gone", async () => {
  const [first, second] = await Promise.all([authority.issue("orders"), authority.issue("orders")]);
  const files = await write(first);
  const source = tlsFromFiles(files);
  const told: string[] = [];
  using _one = source.onChange(() => told.push("one"));
  source.onChange(() => told.push("gone"))[Symbol.dispose]();
  const changed = changeOf(source);
  await write(second, join(files.certFile, ".."));
  await changed;
  expect(told).toEqual(["one"]);
});

test("a process finds its certificate by the environment", async () => {
  const material = await authority.issue("orders");
  const source = tlsFromEnvironment("orders", environmentOf(await write(material)));
  expect(source.current()).toEqual(material);
});

/** Files that cannot be used, each with the variable that must be named. */
const unusable: Record<string, () => Promise<[variable: string, TlsFiles]>> = {
  "a file that is not there": async () => [
    "TLS_CA_FILE is wrong: cannot read",
    { ...(await write(await authority.issue("orders"))), caFile: join(folder, "nothing") },
  ],
  "a folder for a file": async () => [
    "TLS_KEY_FILE is wrong: cannot read",
    { ...(await write(await authority.issue("orders"))), keyFile: folder },
  ],
  "a certificate that is none": async () => [
    "TLS_CERT_FILE is wrong: expected a certificate in PEM form",
    await write({ ...(await authority.issue("orders")), certificate: "none" }),
  ],
  "an authority that is none": async () => [
    "TLS_CA_FILE is wrong: expected a certificate in PEM form",
    await write({ ...(await authority.issue("orders")), certificateAuthorities: "" }),
  ],
  "a key that is none": async () => [
    "TLS_KEY_FILE is wrong: expected a private key in PEM form",
    await write({ ...(await authority.issue("orders")), privateKey: "none" }),
  ],
  "the key of another certificate": async () => [
    "TLS_KEY_FILE is wrong: the key is not that of the certificate",
    await write({
      ...(await authority.issue("orders")),
      privateKey: (await authority.issue("orders")).privateKey,
    }),
  ],
  "an expired certificate": async () => [
    "TLS_CERT_FILE is wrong: the certificate expired on",
    await write(
      await authority.issue("orders", {
        notBefore: new Date(Date.now() - 2 * DAY_MS),
        notAfter: new Date(Date.now() - DAY_MS),
      }),
    ),
  ],
  "a certificate from the future": async () => [
    "TLS_CERT_FILE is wrong: the certificate is not valid before",
    await write(
      await authority.issue("orders", {
        notBefore: new Date(Date.now() + DAY_MS),
        notAfter: new Date(Date.now() + 2 * DAY_MS),
      }),
    ),
  ],
  "the certificate of another service": async () => [
    "TLS_CERT_FILE is wrong: the certificate is for URI:spiffe://emporium.example/checkout",
    await write(await authority.issue("checkout")),
  ],
  "a certificate of another trust domain": async () => [
    "expected URI:spiffe://emporium.example/orders",
    await write(await authority.issue("orders", { uris: ["spiffe://example.org/orders"] })),
  ],
};

test.each(Object.entries(unusable))("%s is refused by the variable's name", async (_, make) => {
  const [expected, files] = await make();
  const start = () => tlsFromEnvironment("orders", environmentOf(files));
  expect(start).toThrow(ConfigurationError);
  expect(start).toThrow(expected);
});

test("variables that are missing are named", () => {
  expect(() => tlsFromEnvironment("orders", { TLS_KEY_FILE: "tls.key" })).toThrow(
    /^TLS_CERT_FILE is not set: a PEM file.*\nTLS_CA_FILE is not set: a PEM file/,
  );
});
