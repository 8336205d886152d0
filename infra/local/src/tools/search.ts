import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Seconds that a tool may take to print its version. */
const VERSION_TIMEOUT_MS = 10_000;

/** A program's file name on this system. */
export function executableName(name: string): string {
  return process.platform === "win32" ? `${name}.exe` : name;
}

/**
 * Finds executables of a name on `PATH`, in its order, then where `go install` puts them: that
 * folder is often not on `PATH`.
 */
export async function findExecutables(
  name: string,
  environment: NodeJS.ProcessEnv,
): Promise<string[]> {
  const goPath = environment.GOPATH?.split(delimiter)[0] ?? join(homedir(), "go");
  const folders = [
    ...(environment.PATH ?? "").split(delimiter),
    environment.GOBIN ?? join(goPath, "bin"),
  ].filter((folder) => folder !== "");
  const found = await Promise.all(
    [...new Set(folders)].map(async (folder) => {
      const path = join(folder, executableName(name));
      return (await isExecutable(path)) ? path : undefined;
    }),
  );
  return found.filter((path) => path !== undefined);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Asks a program for its version; `undefined` where it does not run or names none. */
export async function versionOf(path: string, versionArguments: string[]) {
  const output = await new Promise<string>((resolve) => {
    execFile(path, versionArguments, { timeout: VERSION_TIMEOUT_MS }, (error, stdout, stderr) =>
      resolve(error ? "" : stdout + stderr),
    );
  });
  return /v?(\d+\.\d+\.\d+)/.exec(output)?.[1];
}

/** Whether a version is another one or newer, by its three numbers. */
export function isAtLeast(version: string, oldest: string): boolean {
  const [ours = [], theirs = []] = [version, oldest].map((text) => text.split(".").map(Number));
  for (const [place, number] of theirs.entries()) {
    const difference = (ours[place] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
