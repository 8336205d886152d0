import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../ports.js";
import { type Release, releases } from "./releases.js";
import { resolveTool } from "./resolve.js";

const system = `${process.platform}-${process.arch}`;
let folder: string;
let cache: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "emporium-tools-test-"));
  cache = join(folder, "cache");
});
afterEach(() => rm(folder, { recursive: true }));

/** A program that prints a version, as nats-server does. */
async function fakeTool(place: string, version: string, name = "nats-server"): Promise<string> {
  await mkdir(join(folder, place), { recursive: true });
  const path = join(folder, place, name);
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`, { mode: 0o755 });
  return path;
}

/** A Go that installs the fake tool from all packages but one, and notes its calls. */
async function fakeGo(missing = "none"): Promise<string> {
  const tool = await fakeTool("built", "2.15.0");
  await mkdir(join(folder, "go/bin"), { recursive: true });
  const script = `#!/bin/sh
echo "$@" >> ${folder}/go-calls
[ "$2" != ${missing} ] && /bin/cp ${tool} $GOBIN/nats-server
`;
  await writeFile(join(folder, "go/bin/go"), script, { mode: 0o755 });
  return join(folder, "go/bin");
}

async function archiveOf(version: string): Promise<Buffer> {
  await fakeTool("nats-server-v2.15.0", version);
  const file = join(folder, "release.tar.gz");
  await create({ file, cwd: folder, gzip: true }, ["nats-server-v2.15.0"]);
  return readFile(file);
}

function releaseOf(archive: Buffer): Release {
  const sha256 = createHash("sha256").update(archive).digest("hex");
  return { ...releases["nats-server"], archives: { [system]: { file: "nats.tar.gz", sha256 } } };
}

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** What the resolver sees of a machine that has nothing but what the test gives it. */
function machine(additions: Record<string, string>) {
  const nothing = join(folder, "nothing");
  return { PATH: nothing, GOBIN: nothing, EMPORIUM_TOOLS_DIR: cache, ...additions };
}

describe("a tool that is there", () => {
  test("is taken from the path that the variable names", async () => {
    const path = await fakeTool("mine", "2.14.1");
    const environment = machine({ NATS_SERVER: path });
    expect(await resolveTool("nats-server", { environment })).toBe(path);
  });

  test("is refused under the variable when it is too old, before anything else is tried", async () => {
    const path = await fakeTool("mine", "2.9.10");
    const environment = machine({ NATS_SERVER: path });
    await expect(resolveTool("nats-server", { environment })).rejects.toThrow(
      `NATS_SERVER must name a nats-server: ${path} is version 2.9.10, and 2.12.0 or newer is needed`,
    );
  });

  test("is taken from PATH, where an old one before it is passed over", async () => {
    await fakeTool("old", "2.9.10");
    const path = await fakeTool("new", "2.12.0");
    const environment = machine({ PATH: `${folder}/old:${folder}/new` });
    expect(await resolveTool("nats-server", { environment })).toBe(path);
  });
});

describe("a tool that is missing", () => {
  test("is downloaded once, checked, and found in the cache from then on", async () => {
    const archive = await archiveOf("2.15.0");
    let requests = 0;
    await using server = await serve((request, response) => {
      requests++;
      expect(request.url).toBe("/nats-io/nats-server/releases/download/v2.15.0/nats.tar.gz");
      response.end(archive);
    });
    const search = {
      environment: machine({ EMPORIUM_DOWNLOADS: server.url }),
      release: releaseOf(archive),
    };
    const path = join(cache, "nats-server-2.15.0", "nats-server");
    expect(await resolveTool("nats-server", search)).toBe(path);
    expect(await resolveTool("nats-server", search)).toBe(path);
    expect(requests).toBe(1);
  });

  test("is got by two processes at once, and both are right", async () => {
    const archive = await archiveOf("2.15.0");
    const both = Promise.withResolvers<void>();
    let requests = 0;
    await using server = await serve((_, response) => {
      if (++requests === 2) both.resolve();
      void both.promise.then(() => response.end(archive));
    });
    const search = {
      environment: machine({ EMPORIUM_DOWNLOADS: server.url }),
      release: releaseOf(archive),
    };
    const paths = await Promise.all([1, 2].map(() => resolveTool("nats-server", search)));
    const path = join(cache, "nats-server-2.15.0", "nats-server");
    expect(paths).toEqual([path, path]);
    expect(await readFile(path, "utf8")).toContain("v2.15.0");
  });

  const failures: [string, RequestListener, RegExp][] = [
    ["has a wrong checksum", (_, response) => response.end("forged"), /wrong checksum/],
    [
      "is cut",
      (_, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("half", () => response.destroy());
      },
      /download: (other side closed|terminated|aborted)/,
    ],
    ["falls silent", (_, response) => void response.write("half"), /silent for 0.3 s/],
    ["is not there", (_, response) => response.writeHead(404).end(), /HTTP status 404/],
  ];
  test.each(failures)("is not taken from a download that %s", async (_, answer, why) => {
    await using server = await serve(answer);
    const environment = machine({ EMPORIUM_DOWNLOADS: server.url });
    const search = { environment, release: releaseOf(Buffer.from("expected")), patienceMs: 300 };
    await expect(resolveTool("nats-server", search)).rejects.toThrow(why);
    await expect(readFile(join(cache, "nats-server-2.15.0", "nats-server"))).rejects.toThrow(
      /ENOENT/,
    );
  });

  test("is built with Go where there is no network", async () => {
    const environment = machine({
      EMPORIUM_DOWNLOADS: `http://127.0.0.1:${await freePort()}`,
      PATH: await fakeGo(),
    });
    const path = await resolveTool("nats-server", { environment });
    expect(path).toBe(join(cache, "nats-server-2.15.0", "nats-server"));
    expect(await readFile(join(folder, "go-calls"), "utf8")).toBe(
      "install github.com/nats-io/nats-server/v2@v2.15.0\n",
    );
  });

  test("is built from the next Go package where the first cannot be had", async () => {
    const release = {
      ...releases["nats-server"],
      goPackages: ["a@v2", "b@v1"] as [string, string],
    };
    const environment = machine({
      EMPORIUM_DOWNLOADS: "http://127.0.0.1:1",
      PATH: await fakeGo("a@v2"),
    });
    await resolveTool("nats-server", { environment, release });
    expect(await readFile(join(folder, "go-calls"), "utf8")).toBe("install a@v2\ninstall b@v1\n");
  });

  test("is asked for in one message that lists what was tried and what helps", async () => {
    const old = await fakeTool("old", "2.9.10");
    const environment = machine({
      EMPORIUM_DOWNLOADS: `http://127.0.0.1:${await freePort()}`,
      PATH: join(folder, "old"),
    });
    const error = await resolveTool("nats-server", { environment }).catch((error) => error);
    expect(error.message.split("\n")).toEqual([
      "nats-server cannot be had on this machine. Tried:",
      `  PATH: ${old} is version 2.9.10, and 2.12.0 or newer is needed`,
      expect.stringMatching(/^ {2}download: .*ECONNREFUSED/),
      "  go install: Go is not on PATH",
      "Any one of these helps:",
      "  put nats-server 2.12.0 or newer on PATH, or its path into NATS_SERVER",
      "  allow access to https://github.com, or name a mirror of it in EMPORIUM_DOWNLOADS",
      "  install Go (https://go.dev/dl): then `go install github.com/nats-io/nats-server/v2@v2.15.0` is run for you",
    ]);
  });

  test("is not kept where it does not run", async () => {
    const archive = await archiveOf("none");
    await using server = await serve((_, response) => response.end(archive));
    const environment = machine({ EMPORIUM_DOWNLOADS: server.url });
    const search = { environment, release: releaseOf(archive) };
    await expect(resolveTool("nats-server", search)).rejects.toThrow(
      /does not run on this machine/,
    );
  });
});
