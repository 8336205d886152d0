import { execFile } from "node:child_process";
import { join } from "node:path";
import { executableName, findExecutables } from "./search.js";

/** Runs a program to its end; `code` is `null` where a signal ended it. Never rejects. */
export type Run = (
  program: string,
  programArguments: string[],
  environment: NodeJS.ProcessEnv,
) => Promise<{ code: number | null; errors: string }>;

/** Runs a program as a child of this process. */
const runProgram: Run = (program, programArguments, environment) =>
  new Promise((resolve) => {
    const child = execFile(
      program,
      programArguments,
      { env: environment },
      (_error, _stdout, stderr) => resolve({ code: child.exitCode, errors: stderr }),
    );
  });

/** Builds a tool from one of its Go packages into `folder`; returns the program's path. */
export async function goInstall(build: {
  tool: string;
  goPackages: string[];
  folder: string;
  environment: NodeJS.ProcessEnv;
  run?: Run | undefined;
  report: (line: string) => void;
}): Promise<string> {
  const [go] = await findExecutables("go", build.environment);
  if (!go) throw new Error("Go is not on PATH");
  const environment = { ...build.environment, GOBIN: build.folder };
  const run = build.run ?? runProgram;
  let failure = "";
  for (const goPackage of build.goPackages) {
    build.report(`Building ${goPackage} with Go; this takes a minute, once`);
    const { code, errors } = await run(go, ["install", goPackage], environment);
    if (code === 0) return join(build.folder, executableName(build.tool));
    failure = errors.trim().split("\n").at(-1)?.trim() || `ended with code ${code}`;
  }
  throw new Error(failure);
}
