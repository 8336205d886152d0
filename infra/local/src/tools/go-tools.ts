import { join } from "node:path";
import { stateDirectory } from "../project.js";
import { exists, makeOnce } from "../temporary.js";
import { goInstall } from "./go-install.js";
import type { ToolSearch } from "./resolve.js";
import { executableName } from "./search.js";

/** A program that tests use and that is to be had as a Go module alone. */
export type GoToolName = "grpcurl" | "h2spec" | "connectconformance" | "kustomize";

/** The pinned versions; Go checks each module against its public checksum database. */
const goTools: Record<GoToolName, { goPackage: string; version: string; variable: string }> = {
  grpcurl: {
    goPackage: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    version: "v1.9.3",
    variable: "GRPCURL",
  },
  h2spec: {
    // Its newer tags (2.6.0) lack the /v2 in their module path that Go wants; this has all its cases.
    goPackage: "github.com/summerwind/h2spec/cmd/h2spec",
    version: "v2.2.1+incompatible",
    variable: "H2SPEC",
  },
  connectconformance: {
    goPackage: "connectrpc.com/conformance/cmd/connectconformance",
    version: "v1.0.5",
    variable: "CONNECTCONFORMANCE",
  },
  kustomize: {
    goPackage: "sigs.k8s.io/kustomize/kustomize/v5",
    version: "v5.7.1",
    variable: "KUSTOMIZE",
  },
};

/**
 * Finds a program that only Go has, and builds it where it is not in the project's cache yet
 * (`.emporium/tools`, or `EMPORIUM_TOOLS_DIR`). A variable of its name (`GRPCURL`, `H2SPEC`,
 * `CONNECTCONFORMANCE`, `KUSTOMIZE`) names another executable; what is on `PATH` is not asked, since
 * most of these tell no version. Rejects with one message that says what would help.
 *
 * @example
 * const grpcurl = await resolveGoTool("grpcurl").catch((error: Error) => skip(error.message));
 */
export async function resolveGoTool(
  tool: GoToolName,
  { environment = process.env, report = () => undefined, run }: Omit<ToolSearch, "release"> = {},
): Promise<string> {
  const { goPackage, version, variable } = goTools[tool];
  const named = environment[variable];
  if (named) {
    if (await exists(named)) return named;
    throw new Error(`${variable} must name a ${tool}: there is no ${named}`);
  }
  const cache = environment.EMPORIUM_TOOLS_DIR || join(stateDirectory, "tools");
  const place = join(cache, `${tool}-${version.replace(/^v|\+.*$/g, "")}`);
  const source = `${goPackage}@${version}`;
  try {
    await makeOnce(place, async (folder) => {
      await goInstall({ tool, goPackages: [source], folder, environment, run, report });
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${tool} cannot be had on this machine: ${why}. Install Go (https://go.dev/dl), then ` +
        `\`go install ${source}\` is run for you; or name its path in ${variable}.`,
      { cause: error },
    );
  }
  return join(place, executableName(tool));
}
