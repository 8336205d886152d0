import { join } from "node:path";
import { createServer } from "node:net";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type CanActivate, type INestMicroservice, Inject, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import {
  GrpcExceptionFilter as NestGrpcExceptionFilter,
  GrpcMethod,
  GrpcStreamMethod,
  type GrpcOptions,
  Transport,
} from "@nestjs/microservices";
import { Controller } from "@nestjs/common";
import { concatMap, from, last, map, type Observable } from "rxjs";
import { GrpcController, GrpcModule, GrpcServer } from "../../src/index.js";
import { patient } from "../trial-server.js";
import { type Note, TrialService } from "../generated/trial/v1/trial_pb.js";

type Answer = Partial<Record<"text" | "number" | "mood" | "body", unknown>>;

/** What a handler of a scenario knows of its call. Nest's own transport gives no signal. */
export interface Call {
  readonly signal: AbortSignal | undefined;
}

/** What the controller of a scenario does, whatever transport calls it. */
export interface Work {
  ask(note: Note, call: Call): unknown;
  read(note: Note, call: Call): AsyncIterable<Answer>;
  /** Takes one note of a client stream; the answer to the last one is the call's. */
  take(note: Note): Promise<Answer>;
  /** Answers one note of a conversation. */
  reply(note: Note): Promise<Answer>;
}

/** What a scenario may want of its server. */
export interface Wishes {
  guard?: CanActivate;
  /** More options for the one transport, or the other. */
  nest?: Partial<GrpcOptions["options"]>;
  engine?: Partial<ConstructorParameters<typeof GrpcServer>[0]>;
}

/** A served scenario. */
export interface Served extends AsyncDisposable {
  readonly address: string;
  /** Closes the application as a process does on SIGTERM. */
  close(): Promise<void>;
}

/** A way to serve the test contract by Nest. */
export type Serve = (work: Partial<Work>, wishes?: Wishes) => Promise<Served>;

const WORK = Symbol("work");
const none: Call = { signal: undefined };

@Controller()
class NestTrial {
  constructor(@Inject(WORK) private readonly work: Work) {}

  @GrpcMethod("TrialService")
  ask(note: Note) {
    return this.work.ask(note, none);
  }

  @GrpcMethod("TrialService")
  askAgain(note: Note) {
    return this.work.ask(note, none);
  }

  @GrpcMethod("TrialService")
  read(note: Note) {
    return from(this.work.read(note, none));
  }

  @GrpcStreamMethod("TrialService")
  write(notes: Observable<Note>) {
    return notes.pipe(
      concatMap((note) => this.work.take(note)),
      last(),
    );
  }

  @GrpcStreamMethod("TrialService")
  talk(notes: Observable<Note>) {
    return notes.pipe(
      concatMap((note) => this.work.reply(note)),
      map((answer) => answer),
    );
  }
}

@GrpcController(TrialService)
class EngineTrial implements ServiceImpl<typeof TrialService> {
  constructor(@Inject(WORK) private readonly work: Work) {}

  ask(note: Note, call: HandlerContext) {
    return this.work.ask(note, call) as Note;
  }

  askAgain(note: Note, call: HandlerContext) {
    return this.ask(note, call);
  }

  askTwo(note: Note, call: HandlerContext) {
    return this.ask(note, call);
  }

  askBriefly(note: Note, call: HandlerContext) {
    return this.ask(note, call);
  }

  askRiddle() {
    return {};
  }

  read(note: Note, call: HandlerContext) {
    return this.work.read(note, call) as AsyncIterable<Note>;
  }

  readBriefly(note: Note, call: HandlerContext) {
    return this.read(note, call);
  }

  readPacked(note: Note, call: HandlerContext) {
    return this.read(note, call);
  }

  async write(notes: AsyncIterable<Note>) {
    let answer: Answer = {};
    for await (const note of notes) answer = await this.work.take(note);
    return answer as Note;
  }

  writeBriefly(notes: AsyncIterable<Note>) {
    return this.write(notes);
  }

  async *talk(notes: AsyncIterable<Note>) {
    for await (const note of notes) yield (await this.work.reply(note)) as Note;
  }

  talkBriefly(notes: AsyncIterable<Note>) {
    return this.talk(notes);
  }
}

/** Nest's own gRPC transport, with the exception filter that Nest has for it. */
export const nestTransport: Serve = async (work, { guard, nest } = {}) => {
  const address = `127.0.0.1:${await freePort()}`;
  const app = await NestFactory.createMicroservice<GrpcOptions>(application(NestTrial, work), {
    transport: Transport.GRPC,
    options: { ...trialPackage, url: address, ...nest },
    logger: false,
  });
  app.useGlobalFilters(new NestGrpcExceptionFilter());
  if (guard) app.useGlobalGuards(guard);
  await app.listen();
  return served(app, address);
};

/** This engine. */
export const engine: Serve = async (work, { guard, engine: options } = {}) => {
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    graceMs: 2000,
    log: { error() {} },
    shedding: patient,
    ...options,
  });
  const app = await NestFactory.createMicroservice(
    GrpcModule.around(application(EngineTrial, work)),
    { strategy: server, logger: false },
  );
  if (guard) app.useGlobalGuards(guard);
  await app.listen();
  return served(app, server.address);
};

const root = join(import.meta.dirname, "../../../..");

/** The test contract as Nest's own transport and its clients load it. */
export const trialPackage = {
  package: "trial.v1",
  protoPath: "trial/v1/trial.proto",
  loader: {
    includeDirs: [
      join(import.meta.dirname, "../proto"),
      join(root, "proto"),
      join(root, "third_party/proto"),
    ],
  },
} satisfies GrpcOptions["options"];

function application(controller: typeof NestTrial | typeof EngineTrial, work: Partial<Work>) {
  @Module({})
  class Application {}
  return {
    module: Application,
    controllers: [controller],
    providers: [{ provide: WORK, useValue: work }],
  };
}

function served(app: INestMicroservice, address: string): Served {
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= app.close());
  return { address, close, [Symbol.asyncDispose]: close };
}

/** Nest's own transport does not tell which port it was given, so it cannot be left to choose. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
