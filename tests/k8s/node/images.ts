import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, cp, mkdir, readdir, readlink, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { root } from "../overlays.js";

const run = promisify(execFile);
const services = ["inventory", "orders", "checkout"];

/** What runs of an image, and as whom. */
interface Image {
  name: string;
  arguments: string[];
  folder: string;
  user?: string;
}

const images: Image[] = [
  ...services.flatMap((service) => [
    {
      name: `emporium/${service}`,
      arguments: ["dist/main.js"],
      folder: `/emporium/services/${service}`,
    },
    {
      name: `emporium/${service}-migrations`,
      arguments: ["/emporium/packages/database/dist/migrate-command.js"],
      folder: `/emporium/services/${service}`,
    },
  ]),
  { name: "emporium/setup", arguments: [], folder: "/emporium" },
  { name: "emporium/setup-as-root", arguments: [], folder: "/emporium", user: "0" },
];

/**
 * Makes an archive that containerd imports, without an engine: one layer with Node, the libraries that
 * it needs, and what the Dockerfile puts into the images, for all of them; and a second for sandboxes.
 */
export async function makeImages(folder: string, pause: string): Promise<string[]> {
  const shop = join(folder, "shop");
  await gatherShop(shop);
  const sandbox = join(folder, "sandbox");
  await mkdir(sandbox, { recursive: true });
  await run("gcc", ["-static", "-Os", "-DVERSION=1", "-o", join(sandbox, "pause"), pause]);
  const entry = (image: Image) => ({ ...image, entrypoint: ["node"] });
  return [
    await archive(folder, "shop", images.map(entry)),
    await archive(folder, "sandbox", [
      { name: "emporium/pause", entrypoint: ["/pause"], arguments: [], folder: "/" },
    ]),
  ];
}

async function gatherShop(shop: string): Promise<void> {
  const emporium = join(shop, "emporium");
  await mkdir(emporium, { recursive: true });
  const { stdout } = await run(
    "git",
    ["ls-files", "*package.json", "package-lock.json", ".npmrc"],
    { cwd: root },
  );
  for (const file of stdout.trim().split("\n")) {
    await mkdir(dirname(join(emporium, file)), { recursive: true });
    await cp(join(root, file), join(emporium, file));
  }
  const left = ["dev", "optional", "peer"].map((kind) => `--omit=${kind}`);
  const wanted = [...services.map((service) => `services/${service}`), "infra/compose"];
  const workspaces = wanted.map((place) => `--workspace=${place}`);
  await run("npm", ["ci", "--ignore-scripts", ...left, ...workspaces], { cwd: emporium });
  const ours = join(emporium, "node_modules/@emporium");
  for (const name of await readdir(ours)) {
    const place = (await readlink(join(ours, name))).replace("../../", "");
    for (const part of ["dist", "prisma"])
      await cp(join(root, place, part), join(emporium, place, part), { recursive: true }).catch(
        (error: NodeJS.ErrnoException) => {
          if (error.code !== "ENOENT" || part === "dist") throw error;
        },
      );
  }
  await cp(join(root, "data"), join(emporium, "data"), { recursive: true });
  await run(
    join(root, "node_modules/.bin/buf"),
    ["build", "--output", join(emporium, "contract.binpb")],
    { cwd: root },
  );
  await mkdir(join(shop, "usr/local/bin"), { recursive: true });
  const node = join(root, "node_modules/node/bin/node");
  await cp(node, join(shop, "usr/local/bin/node"), { dereference: true });
  for (const [library] of (await run("ldd", [node])).stdout.matchAll(/\/lib\S+/g)) {
    await mkdir(dirname(join(shop, library)), { recursive: true });
    await cp(library, join(shop, library), { dereference: true });
  }
  for (const place of ["tmp", "proc", "sys", "dev", "run/emporium"])
    await mkdir(join(shop, place), { recursive: true });
  await chmod(join(shop, "tmp"), 0o1777);
}

/** https://github.com/opencontainers/image-spec: a folder as the only layer of some images. */
async function archive(
  folder: string,
  name: string,
  contents: (Image & { entrypoint: string[] })[],
): Promise<string> {
  const layout = join(folder, `${name}-layout`);
  const blobs = join(layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (value: unknown) => {
    const text = JSON.stringify(value);
    const digest = createHash("sha256").update(text).digest("hex");
    await writeFile(join(blobs, digest), text);
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
  };
  const tar = join(folder, `${name}-layer.tar`);
  await run("tar", ["-C", join(folder, name), "--owner=0", "--group=0", "-cf", tar, "."]);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(tar)) hash.update(chunk as Buffer);
  const layer = { digest: `sha256:${hash.digest("hex")}`, size: (await stat(tar)).size };
  await rename(tar, join(blobs, layer.digest.replace("sha256:", "")));
  const kind = "application/vnd.oci.image";
  const manifests = [];
  for (const image of contents) {
    const config = await put({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: {
        Entrypoint: image.entrypoint,
        Cmd: image.arguments,
        WorkingDir: image.folder,
        User: image.user ?? "1000",
        Env: ["PATH=/usr/local/bin", "NODE_ENV=production"],
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    });
    const manifest = await put({
      schemaVersion: 2,
      mediaType: `${kind}.manifest.v1+json`,
      config: { mediaType: `${kind}.config.v1+json`, ...config },
      layers: [{ mediaType: `${kind}.layer.v1.tar`, ...layer }],
    });
    const annotations = { "io.containerd.image.name": `docker.io/${image.name}:local` };
    manifests.push({ mediaType: `${kind}.manifest.v1+json`, ...manifest, annotations });
  }
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  const file = join(folder, `${name}.tar`);
  await run("tar", ["-C", layout, "-cf", file, "."]);
  return file;
}
