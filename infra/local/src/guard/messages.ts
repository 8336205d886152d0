/** What the guard is asked to run, and how it is to be stopped. */
export interface Command {
  /** Names the process in logs and errors. */
  name: string;
  program: string;
  programArguments: string[];
  environment?: NodeJS.ProcessEnv;
  directory?: string;
  /** The user to run as, where the guard runs as root. */
  user?: { uid: number; gid: number };
  /** What asks it to stop. */
  stopSignal: NodeJS.Signals;
  /** Milliseconds that it has to stop, before SIGKILL. */
  graceMs: number;
  /** All processes of a higher stage are stopped before the first of a lower one. */
  stage: number;
  /** A file for its output; that of the run before is kept beside it as `.1`. */
  log?: string;
  /** The lines of output that the runner is told, as a regular expression; none where absent. */
  tell?: string;
  /** Gives the process a channel whose end tells it that the guard is gone. */
  channel?: boolean;
}

/** From the runner to its guard. When the channel ends, the guard stops everything. */
export type ToGuard =
  | { kind: "spawn"; id: number; command: Command }
  | { kind: "reload"; id: number }
  | { kind: "stop"; id: number };

/** From the guard to its runner. */
export type FromGuard =
  | { kind: "spawned"; id: number; pid: number }
  | { kind: "line"; id: number; line: string }
  | { kind: "ended"; id: number; code: number | null; signal: string | null; errors: string[] };
