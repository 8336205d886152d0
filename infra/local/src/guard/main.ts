// The guard: a process between the runner and everything that the runner starts. It lives in a
// session of its own, so Ctrl-C does not reach it or its children; it stops them all when the runner
// is gone, whatever ended it. One file of plain Node: it is also run unbuilt.

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, renameSync, rmSync, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Command, FromGuard, ToGuard } from "./messages.js";

/** Lines of standard error that are told when a process ends. */
const LAST_LINES = 20;

interface Child {
  command: Command;
  process: ChildProcess;
  ended: Promise<void>;
  stopping?: Promise<void>;
}

const children = new Map<number, Child>();
/** A folder to delete when all is over, as the only argument. */
const [doomedFolder] = process.argv.slice(2);
let leaving = false;

function tell(message: FromGuard): void {
  // A runner that is gone hears nothing; its "disconnect" is on the way.
  if (process.connected) process.send?.(message, () => undefined);
}

function start(id: number, command: Command): void {
  const child = spawn(command.program, command.programArguments, {
    cwd: command.directory,
    env: command.environment ?? process.env,
    stdio: command.channel ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
    windowsHide: true,
    ...command.user,
  });
  const log = command.log === undefined ? undefined : openLog(command.log);
  const errors = readLines(id, command, child, log);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const finish = (code: number | null, signal: string | null) => {
    if (!children.delete(id)) return;
    tell({ kind: "ended", id, code, signal, errors });
    if (log) log.end(resolve);
    else resolve();
  };
  children.set(id, { command, process: child, ended });
  child.once("error", (error) => {
    errors.push(error.message);
    if (child.pid === undefined) finish(null, null);
  });
  child.once("close", finish);
  if (child.pid !== undefined) tell({ kind: "spawned", id, pid: child.pid });
}

/** Passes a child's lines on to its log and the runner; returns its last errors, kept current. */
function readLines(id: number, command: Command, child: ChildProcess, log?: WriteStream): string[] {
  const last: string[] = [];
  const told = command.tell === undefined ? undefined : new RegExp(command.tell);
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream, crlfDelay: Infinity }).on("line", (line) => {
      log?.write(`${line}\n`);
      if (stream === child.stderr) last.push(line);
      if (last.length > LAST_LINES) last.shift();
      if (told?.test(line)) tell({ kind: "line", id, line });
    });
  }
  return last;
}

function openLog(path: string): WriteStream {
  try {
    renameSync(path, `${path}.1`);
  } catch {
    // The first run has no log before it.
  }
  // A full disk must not end the guard: the log is lost, the children stay guarded.
  return createWriteStream(path).on("error", () => undefined);
}

function stop(child: Child): Promise<void> {
  return (child.stopping ??= (async () => {
    child.process.kill(child.command.stopSignal);
    const patience = setTimeout(() => child.process.kill("SIGKILL"), child.command.graceMs);
    await child.ended;
    clearTimeout(patience);
  })());
}

async function leave(): Promise<void> {
  if (leaving) return;
  leaving = true;
  while (children.size > 0) {
    const left = [...children.values()];
    const highest = Math.max(...left.map(({ command }) => command.stage));
    await Promise.all(left.filter(({ command }) => command.stage === highest).map(stop));
  }
  if (doomedFolder) rmSync(doomedFolder, { recursive: true, force: true, maxRetries: 5 });
  process.exit();
}

process.title = "emporium-guard";
process.on("message", (message: ToGuard) => {
  if (message.kind === "stop") {
    const child = children.get(message.id);
    if (child) void stop(child);
  } else if (message.kind === "reload") {
    children.get(message.id)?.process.kill("SIGHUP");
  } else if (!leaving) {
    try {
      start(message.id, message.command);
    } catch (error) {
      tell({ kind: "ended", id: message.id, code: null, signal: null, errors: [String(error)] });
    }
  }
});
process.on("disconnect", () => void leave());
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
  process.on(signal, () => void leave());
// Whatever goes wrong in here, the children must not be left behind.
process.on("uncaughtException", (error) => {
  process.exitCode = 1;
  process.stderr.write(`${error.stack}\n`);
  void leave();
});
