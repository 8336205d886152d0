import { setTimeout as delay } from "node:timers/promises";
import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  type PipeTransform,
  Scope,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from "@nestjs/common";
import { REQUEST } from "@nestjs/core";
import { map, type Observable, tap } from "rxjs";
import { expect, test } from "vitest";
import { GrpcController, type HandlerContext } from "../../src/index.js";
import { type Note, TrialService } from "../generated/trial/v1/trial_pb.js";
import { BREAK, Echo, kinds, startApplication } from "./application.js";

@GrpcController(TrialService)
class Plain extends Echo {}

/** Notes what passes it. */
class Witness implements NestInterceptor {
  readonly seen: string[] = [];

  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      tap({
        next: (value: object) => this.seen.push(Symbol.asyncIterator in value ? "stream" : "note"),
        error: (error: Error) => this.seen.push(error.message),
        complete: () => this.seen.push("end"),
      }),
    );
  }
}

test("an interceptor sees the answer of each kind, and its end when it has ended", async () => {
  const witness = new Witness();
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalInterceptors(witness),
  });
  for (const call of Object.values(kinds)) await call(app.client, "one", "two");
  const both = ["note", "end", "stream", "end"];
  expect(witness.seen).toEqual([...both, ...both]);
});

test("an interceptor sees the end of a stream only after the last message", async () => {
  const witness = new Witness();
  @GrpcController(TrialService)
  class Telling extends Echo {
    override async *read() {
      yield { text: "", number: 1n };
      witness.seen.push("read on");
    }
  }
  await using app = await startApplication(Telling, {
    configure: (app) => app.useGlobalInterceptors(witness),
  });
  await Array.fromAsync(app.client.read({}));
  expect(witness.seen).toEqual(["stream", "read on", "end"]);
});

test("an interceptor sees what breaks in the middle of a stream", async () => {
  const witness = new Witness();
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalInterceptors(witness),
  });
  for (const call of Object.values(kinds)) await call(app.client, "one", BREAK);
  const broken = "the shelf is empty";
  expect(witness.seen).toEqual([broken, "stream", broken, broken, "stream", broken]);
});

test("an interceptor may change an answer", async () => {
  const loud: NestInterceptor = {
    intercept: (_, next) => next.handle().pipe(map(({ text }: Note) => ({ text: `${text}!` }))),
  };
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalInterceptors(loud),
  });
  expect(await app.client.ask({ text: "a" })).toMatchObject({ text: "a!" });
});

const late = {
  async canActivate() {
    await delay(20);
    return true;
  },
};
const slow: NestInterceptor = {
  async intercept(_, next) {
    await delay(20);
    return next.handle();
  },
};

test("1,000 of 1,000 messages arrive behind an async guard and an async interceptor", async () => {
  @GrpcController(TrialService)
  @UseGuards(late)
  @UseInterceptors(slow)
  class Slow extends Echo {}
  await using app = await startApplication(Slow);
  const thousand = Array.from({ length: 1000 }, (_, i) => String(i));
  const written = await kinds["client stream"]!(app.client, ...thousand);
  expect(written.notes[0]?.number).toBe(1000n);
  const said = await kinds["bidirectional stream"]!(app.client, ...thousand);
  expect(said.notes.map(({ text }) => text)).toEqual(thousand);
  const read = await kinds["server stream"]!(app.client, ...thousand, "");
  expect(read.notes.map(({ number }) => Number(number))).toEqual(
    thousand.map((text) => Number(text) + 1),
  );
});

test("a pipe changes the request of unary and server-streaming handlers", async () => {
  class Upper implements PipeTransform {
    transform(value: Note | AsyncIterable<Note> | HandlerContext) {
      return "text" in value ? { ...value, text: value.text.toUpperCase() } : value;
    }
  }
  @GrpcController(TrialService)
  @UsePipes(Upper)
  class Piped extends Echo {}
  await using app = await startApplication(Piped);
  expect(await app.client.ask({ text: "a" })).toMatchObject({ text: "A" });
  const read = await kinds["server stream"]!(app.client, "", "b");
  expect(read.notes.map(({ text }) => text)).toEqual(["B"]);
  const said = await kinds["bidirectional stream"]!(app.client, "c");
  expect(said.notes.map(({ text }) => text)).toEqual(["c"]);
});

test("a request-scoped provider is made for each call of each kind", async () => {
  @Injectable({ scope: Scope.REQUEST })
  class Ticket {
    static issued = 0;
    readonly number = ++Ticket.issued;
    constructor(@Inject(REQUEST) readonly request: { context: HandlerContext }) {}
  }
  const tickets: number[] = [];
  @GrpcController(TrialService)
  class Scoped extends Echo {
    constructor(@Inject(Ticket) private readonly ticket: Ticket) {
      super();
    }

    override ask(note: Note) {
      tickets.push(this.ticket.number);
      return super.ask(note);
    }

    override async *read(note: Note) {
      tickets.push(this.ticket.number);
      yield* Echo.prototype.read.call(this, note);
    }

    override write(notes: AsyncIterable<Note>) {
      tickets.push(this.ticket.number);
      return super.write(notes);
    }

    override async *talk(notes: AsyncIterable<Note>) {
      tickets.push(this.ticket.number);
      yield* Echo.prototype.talk.call(this, notes);
    }
  }
  await using app = await startApplication(Scoped, { providers: [Ticket] });
  for (const call of Object.values(kinds)) {
    const { notes, error } = await call(app.client, "one", "two");
    expect(error).toBeUndefined();
    expect(notes).toHaveLength(1 + Number(call === kinds["bidirectional stream"]));
  }
  expect(tickets).toEqual([1, 2, 3, 4]);
});

test("a handler may read another handler's stream within the same call", async () => {
  @GrpcController(TrialService)
  class Adapter extends Echo {
    override async *readPacked(note: Note, ...call: unknown[]) {
      for await (const { number } of (this.read as (...all: unknown[]) => AsyncIterable<Note>)(
        note,
        ...call,
      ))
        yield { text: "adapted", number };
    }
  }
  await using app = await startApplication(Adapter);
  const notes = await Array.fromAsync(app.client.readPacked({ number: 2n }));
  expect(notes.map(({ text, number }) => `${text} ${number}`)).toEqual(["adapted 1", "adapted 2"]);
});
