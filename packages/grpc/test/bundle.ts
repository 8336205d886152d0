import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { build } from "vite";

const root = join(import.meta.dirname, "../../..");

/** Programs of a test, made to run as processes of their own. */
export interface Programs extends AsyncDisposable {
  pathOf(name: string): string;
}

/** Bundles them with the sources that they use; all else stays where it is installed. */
export async function bundle(folder: string, ...names: string[]): Promise<Programs> {
  await mkdir(join(root, ".emporium"), { recursive: true });
  const outDir = await mkdtemp(join(root, ".emporium/programs-"));
  const conditions = ["@emporium/source"];
  await build({
    configFile: false,
    logLevel: "warn",
    resolve: { conditions },
    ssr: { noExternal: [/^@emporium\//], resolve: { conditions } },
    build: {
      ssr: true,
      outDir,
      target: "node24",
      rolldownOptions: { input: names.map((name) => join(folder, `${name}.ts`)) },
    },
  });
  return {
    pathOf: (name) => join(outDir, `${name}.js`),
    [Symbol.asyncDispose]: () => rm(outDir, { recursive: true }),
  };
}
