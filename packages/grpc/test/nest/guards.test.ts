import { setTimeout as delay } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  UnauthorizedException,
  UseGuards,
} from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { of } from "rxjs";
import { expect, test } from "vitest";
import { GrpcController, type HandlerContext, reasonOf } from "../../src/index.js";
import { TrialService } from "../generated/trial/v1/trial_pb.js";
import { Echo, kinds, startApplication } from "./application.js";

/** Lets in who says the word, and takes a moment to think about it. */
@Injectable()
class Password implements CanActivate {
  async canActivate(context: ExecutionContext) {
    const call = context.switchToRpc().getContext<HandlerContext>();
    await delay(5);
    return call.requestHeader.get("x-word") === "sesame";
  }
}

@GrpcController(TrialService)
class Plain extends Echo {}

@GrpcController(TrialService)
@UseGuards(Password)
class Guarded extends Echo {}

const answers: [string, CanActivate["canActivate"]][] = [
  ["no", () => false],
  ["no, later", async () => false],
  ["no, by Observable", () => of(false)],
];

test.each(answers)("a guard that says %s refuses every kind", async (_, canActivate) => {
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalGuards({ canActivate }),
  });
  for (const call of Object.values(kinds)) {
    const { notes, error } = await call(app.client, "one", "two");
    expect(notes).toEqual([]);
    expect(error).toMatchObject({ code: Code.PermissionDenied });
    expect(reasonOf(error)?.reason).toBe("FORBIDDEN");
  }
});

test("an exception of a guard arrives with its code, for every kind", async () => {
  const canActivate = () => {
    throw new UnauthorizedException("Who are you?");
  };
  await using app = await startApplication(Plain, {
    configure: (app) => app.useGlobalGuards({ canActivate }),
  });
  for (const call of Object.values(kinds))
    expect((await call(app.client, "one")).error).toMatchObject({ code: Code.Unauthenticated });
});

test("a guard of the class sees the headers of the call", async () => {
  await using app = await startApplication(Guarded);
  const headers = { "x-word": "sesame" };
  expect(await app.client.ask({ text: "a" }, { headers })).toMatchObject({ text: "a" });
  await expect(app.client.ask({ text: "a" })).rejects.toMatchObject({
    code: Code.PermissionDenied,
  });
});

test("a guard of the application's module is asked", async () => {
  await using app = await startApplication(Plain, {
    providers: [{ provide: APP_GUARD, useClass: Password }],
  });
  const { error } = await kinds["server stream"]!(app.client, "a", "b");
  expect(error).toMatchObject({ code: Code.PermissionDenied });
});
