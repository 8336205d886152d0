import { Code, ConnectError } from "@connectrpc/connect";
import {
  type ArgumentsHost,
  Catch,
  ConflictException,
  type ExceptionFilter,
  type INestMicroservice,
  NotFoundException,
  ServiceUnavailableException,
  type Type,
  UseFilters,
} from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { GrpcNotFoundException, RpcException } from "@nestjs/microservices";
import { throwError } from "rxjs";
import { describe, expect, test } from "vitest";
import { GrpcController } from "../../src/index.js";
import { type Note, TrialService } from "../generated/trial/v1/trial_pb.js";
import { BREAK, Echo, kinds, SoldOut, startApplication } from "./application.js";

@Catch(SoldOut)
class SoldOutFilter implements ExceptionFilter<SoldOut> {
  catch(error: SoldOut, _host: ArgumentsHost) {
    return throwError(() => new ConnectError(error.message, Code.FailedPrecondition));
  }
}

@GrpcController(TrialService)
class Plain extends Echo {}

@GrpcController(TrialService)
@UseFilters(SoldOutFilter)
class WithFilter extends Echo {}

@GrpcController(TrialService)
class WithFilterOnMethods extends Echo {
  @UseFilters(SoldOutFilter)
  override ask(note: Note) {
    return super.ask(note);
  }

  @UseFilters(SoldOutFilter)
  override async *read(note: Note) {
    yield* Echo.prototype.read.call(this, note);
  }

  @UseFilters(SoldOutFilter)
  override write(notes: AsyncIterable<Note>) {
    return super.write(notes);
  }

  @UseFilters(SoldOutFilter)
  override async *talk(notes: AsyncIterable<Note>) {
    yield* Echo.prototype.talk.call(this, notes);
  }
}

const places: Record<string, [Type, Parameters<typeof startApplication>[1]]> = {
  "on the method": [WithFilterOnMethods, {}],
  "on the class": [WithFilter, {}],
  "by useGlobalFilters": [
    Plain,
    { configure: (app: INestMicroservice) => app.useGlobalFilters(new SoldOutFilter()) },
  ],
  "as APP_FILTER of the application's module": [
    Plain,
    { providers: [{ provide: APP_FILTER, useClass: SoldOutFilter }] },
  ],
};

describe.each(Object.entries(places))("an exception filter %s", (_, [controller, options]) => {
  test.each(Object.entries(kinds))("catches what a %s handler throws", async (kind, call) => {
    await using app = await startApplication(controller, options);
    const { notes, error } = await call(app.client, "one", "two", BREAK);
    expect(error).toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: "the shelf is empty",
    });
    expect(notes).toHaveLength(kind.includes("server") || kind.startsWith("bidi") ? 2 : 0);
  });
});

test.each(Object.entries(kinds))(
  "what a %s handler throws and no filter catches is INTERNAL without its text",
  async (_, call) => {
    await using app = await startApplication(Plain);
    const { error } = await call(app.client, BREAK);
    expect(error).toMatchObject({ code: Code.Internal });
    expect(String(error)).not.toContain("shelf");
  },
);

const exceptions: [string, () => Error, Code][] = [
  ["NotFoundException", () => new NotFoundException("No"), Code.NotFound],
  ["ConflictException", () => new ConflictException("No"), Code.Aborted],
  ["ServiceUnavailableException", () => new ServiceUnavailableException("No"), Code.Unavailable],
  ["GrpcNotFoundException", () => new GrpcNotFoundException("No"), Code.NotFound],
  ["RpcException", () => new RpcException({ code: 11, message: "No" }), Code.OutOfRange],
];

test.each(exceptions)("a %s arrives with its code, from every kind", async (_, make, code) => {
  @GrpcController(TrialService)
  class Throwing extends Echo {
    override async ask(): Promise<{ text: string }> {
      throw make();
    }

    override async *read() {
      yield { text: "first", number: 1n };
      throw make();
    }

    override async write(): Promise<{ number: bigint }> {
      throw make();
    }

    override async *talk() {
      yield { text: "first", number: 1n };
      throw make();
    }
  }
  await using app = await startApplication(Throwing);
  for (const call of Object.values(kinds)) {
    const { error } = await call(app.client, "anything");
    expect(error).toMatchObject({ code, rawMessage: "No" });
  }
});

test("a filter that answers instead of failing gives the caller its answer", async () => {
  @Catch(SoldOut)
  class Consolation implements ExceptionFilter<SoldOut> {
    async catch() {
      return { text: "something else" };
    }
  }
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalFilters(new Consolation() as never),
  });
  expect(await app.client.ask({ text: BREAK })).toMatchObject({ text: "something else" });
});
