import { type INestMicroservice, Module, type ModuleMetadata, type Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { ServiceImpl } from "@connectrpc/connect";
import { type GrpcClient, GrpcModule, GrpcServer } from "../../src/index.js";
import { type Note, TrialService } from "../generated/trial/v1/trial_pb.js";
import { patient, trialClient } from "../trial-server.js";

type Notes = AsyncIterable<Note>;

/** What a note's text tells the handlers below to do. */
export const BREAK = "break";

/** An error of a shop's own that no transport knows. */
export class SoldOut extends Error {}

/**
 * Handlers that echo, count, and break when they are told to: unary before the answer, streams after
 * the messages before. Controllers of tests extend it and add what Nest has for them.
 */
export class Echo implements ServiceImpl<typeof TrialService> {
  async ask({ text }: Note) {
    if (text === BREAK) throw new SoldOut("the shelf is empty");
    return { text };
  }

  async *read({ text, number }: Note) {
    for (let i = 1n; i <= number; i++) yield { text, number: i };
    if (text === BREAK) throw new SoldOut("the shelf is empty");
  }

  async write(notes: Notes) {
    let number = 0n;
    for await (const { text } of notes) {
      if (text === BREAK) throw new SoldOut("the shelf is empty");
      number++;
    }
    return { number };
  }

  async *talk(notes: Notes) {
    for await (const { text, number } of notes) {
      if (text === BREAK) throw new SoldOut("the shelf is empty");
      yield { text, number };
    }
  }

  askAgain(note: Note) {
    return this.ask(note);
  }

  askTwo(note: Note) {
    return this.ask(note);
  }

  askBriefly(note: Note) {
    return this.ask(note);
  }

  askRiddle() {
    return {};
  }

  async *readPacked(note: Note) {
    yield* Echo.prototype.read.call(this, note);
  }

  async *readBriefly(note: Note) {
    yield* Echo.prototype.read.call(this, note);
  }

  writeBriefly(notes: Notes) {
    return this.write(notes);
  }

  async *talkBriefly(notes: Notes) {
    yield* Echo.prototype.talk.call(this, notes);
  }
}

/** An application of one controller on the engine, with a client. */
export interface Application extends AsyncDisposable {
  readonly client: GrpcClient<typeof TrialService>;
  readonly server: GrpcServer;
}

/**
 * Starts one.
 *
 * @example
 * await using app = await startApplication(Guarded, { configure: (app) => app.useGlobalPipes(…) });
 */
export async function startApplication(
  controller: Type,
  options: ModuleMetadata & { configure?: (app: INestMicroservice) => void } = {},
): Promise<Application> {
  const { configure, ...metadata } = options;
  @Module({ ...metadata, controllers: [controller] })
  class TrialModule {}
  const server = new GrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    log: { error() {} },
    shedding: patient,
  });
  const app = await NestFactory.createMicroservice(GrpcModule.around(TrialModule), {
    strategy: server,
    logger: false,
  });
  configure?.(app);
  await app.listen();
  const client = trialClient(server.address);
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await app.close();
    },
  };
}

type Client = GrpcClient<typeof TrialService>;

/**
 * One call of each kind: the texts in their order, and what came of it. Resolves with the notes that
 * were received and the error, if there was one.
 */
export const kinds: Record<string, (client: Client, ...texts: string[]) => Promise<Outcome>> = {
  unary: (client, ...texts) => outcome(only(client.ask({ text: texts.at(-1)! }))),
  "server stream": (client, ...texts) =>
    outcome(client.read({ text: texts.at(-1)!, number: BigInt(texts.length - 1) })),
  "client stream": (client, ...texts) => outcome(only(client.write(notes(texts)))),
  "bidirectional stream": (client, ...texts) => outcome(client.talk(notes(texts))),
};

export interface Outcome {
  notes: Note[];
  error: unknown;
}

async function outcome(answers: AsyncIterable<Note>): Promise<Outcome> {
  const result: Outcome = { notes: [], error: undefined };
  try {
    for await (const note of answers) result.notes.push(note);
  } catch (error) {
    result.error = error;
  }
  return result;
}

async function* only(answer: Promise<Note>) {
  yield await answer;
}

async function* notes(texts: string[]) {
  for (const text of texts) yield { text };
}
