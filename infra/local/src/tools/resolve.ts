import { join } from "node:path";
import { stateDirectory } from "../project.js";
import { exists, makeOnce } from "../temporary.js";
import { downloadTool } from "./download.js";
import { goInstall, type Run } from "./go-install.js";
import { type Release, releases, type ToolName } from "./releases.js";
import { executableName, findExecutables, isAtLeast, versionOf } from "./search.js";

/** Where official releases are fetched from, unless `EMPORIUM_DOWNLOADS` says otherwise. */
const DOWNLOADS = "https://github.com";

/** How a tool is looked for; everything has a default. */
export interface ToolSearch {
  /** Read for `NATS_SERVER`, `K6`, `PATH`, `EMPORIUM_TOOLS_DIR`, `EMPORIUM_DOWNLOADS` and Go's own. */
  environment?: NodeJS.ProcessEnv;
  /** Told what takes time. */
  report?: (line: string) => void;
  /** Runs `go install`. */
  run?: Run;
  /** Milliseconds without an answer, or without a byte, after which a download has failed. */
  patienceMs?: number;
  /** What is known of the tool, in place of the pinned release. */
  release?: Release;
}

/**
 * Finds a program that npm does not have, and gets it where the machine has none. Tried in this
 * order: the path in `NATS_SERVER` or `K6`; `PATH`, where old versions are passed over; the
 * project's own cache (`.emporium/tools`, or `EMPORIUM_TOOLS_DIR`); the official release, checked by
 * SHA-256 (`EMPORIUM_DOWNLOADS` names a mirror of github.com); `go install`. Returns the path of the
 * executable. Rejects with one message that tells what was tried and what would help.
 *
 * @example
 * const natsServer = await resolveTool("nats-server", { report: console.error });
 */
export async function resolveTool(tool: ToolName, search: ToolSearch = {}): Promise<string> {
  const { environment = process.env, release = releases[tool] } = search;
  const named = environment[release.variable];
  if (named) return checkNamed(tool, release, named);

  const tried: string[] = [];
  for (const path of await findExecutables(tool, environment)) {
    const version = await versionOf(path, release.versionArguments);
    if (version && isAtLeast(version, release.oldest)) return path;
    tried.push(`PATH: ${path} ${fault(release, version)}`);
  }

  const cache = environment.EMPORIUM_TOOLS_DIR || join(stateDirectory, "tools");
  const place = join(cache, `${tool}-${release.version}`);
  const executable = join(place, executableName(tool));
  if (await exists(executable)) return executable;

  const { download, build } = sourcesOf(tool, release, { ...search, environment });
  for (const [name, get] of Object.entries({ download, "go install": build })) {
    try {
      await makeOnce(place, async (folder) => {
        const program = await get(folder);
        if (!(await versionOf(program, release.versionArguments)))
          throw new Error("what came does not run on this machine");
      });
      return executable;
    } catch (error) {
      tried.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(whatWouldHelp(tool, release, tried));
}

async function checkNamed(tool: ToolName, release: Release, path: string): Promise<string> {
  const version = await versionOf(path, release.versionArguments);
  if (version && isAtLeast(version, release.oldest)) return path;
  throw new Error(`${release.variable} must name a ${tool}: ${path} ${fault(release, version)}`);
}

function fault(release: Release, version: string | undefined): string {
  return version
    ? `is version ${version}, and ${release.oldest} or newer is needed`
    : "does not run, or tells no version";
}

type Get = (folder: string) => Promise<string>;

function sourcesOf(
  tool: ToolName,
  release: Release,
  { environment = {}, report = () => undefined, run, patienceMs = 10_000 }: ToolSearch,
): { download: Get; build: Get } {
  return {
    download: async (folder) => {
      const archive = release.archives[`${process.platform}-${process.arch}`];
      if (!archive) throw new Error(`no release for ${process.platform} on ${process.arch}`);
      const base = (environment.EMPORIUM_DOWNLOADS || DOWNLOADS).replace(/\/$/, "");
      const url = `${base}/${release.folder}/${archive.file}`;
      report(`Downloading ${url}`);
      return downloadTool({ tool, url, sha256: archive.sha256, folder, patienceMs });
    },
    build: (folder) =>
      goInstall({ tool, goPackages: release.goPackages, folder, environment, run, report }),
  };
}

function whatWouldHelp(tool: ToolName, release: Release, tried: string[]): string {
  return [
    `${tool} cannot be had on this machine. Tried:`,
    ...tried.map((line) => `  ${line}`),
    "Any one of these helps:",
    `  put ${tool} ${release.oldest} or newer on PATH, or its path into ${release.variable}`,
    `  allow access to ${DOWNLOADS}, or name a mirror of it in EMPORIUM_DOWNLOADS`,
    `  install Go (https://go.dev/dl): then \`go install ${release.goPackages[0]}\` is run for you`,
  ].join("\n");
}
