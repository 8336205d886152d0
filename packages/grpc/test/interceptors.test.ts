import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { NoteSchema, type Note } from "./generated/trial/v1/trial_pb.js";
import { errorOf, startTrial, type TrialHandlers } from "./trial-server.js";

async function* notes(...texts: string[]) {
  for (const text of texts) yield { text };
}

const echo: TrialHandlers = {
  ask: ({ text }) => ({ text }),
  async *read({ text, number }) {
    for (let i = 1n; i <= number; i++) yield { text, number: i };
  },
  async write(all) {
    return { number: BigInt((await Array.fromAsync(all)).length) };
  },
  async *talk(all) {
    for await (const { text } of all) yield { text };
  },
};

/** Notes when a call passes it, and when the answer does. */
function passing(name: string, seen: string[]): Interceptor {
  return (next) => async (request) => {
    seen.push(`${name} in`);
    const response = await next(request);
    seen.push(`${name} out`);
    return response;
  };
}

test("the first interceptor of a server is the outermost, for every kind", async () => {
  const seen: string[] = [];
  await using trial = await startTrial(echo, {
    interceptors: [passing("first", seen), passing("second", seen)],
  });
  const order = ["first in", "second in", "second out", "first out"];
  await trial.client.ask({});
  expect(seen.splice(0)).toEqual(order);
  await Array.fromAsync(trial.client.read({ number: 1n }));
  expect(seen.splice(0)).toEqual(order);
  await trial.client.write(notes("a"));
  expect(seen.splice(0)).toEqual(order);
  await Array.fromAsync(trial.client.talk(notes("a")));
  expect(seen.splice(0)).toEqual(order);
});

test("the first interceptor of a client is the outermost, for every kind", async () => {
  const seen: string[] = [];
  const interceptors = [passing("first", seen), passing("second", seen)];
  await using trial = await startTrial(echo, {}, { interceptors });
  const order = ["first in", "second in", "second out", "first out"];
  await trial.client.ask({});
  expect(seen.splice(0)).toEqual(order);
  await Array.fromAsync(trial.client.read({ number: 1n }));
  expect(seen.splice(0)).toEqual(order);
  await trial.client.write(notes("a"));
  expect(seen.splice(0)).toEqual(order);
  await Array.fromAsync(trial.client.talk(notes("a")));
  expect(seen.splice(0)).toEqual(order);
});

/** Makes the text of every request and response louder by one mark. */
const louder: Interceptor = (next) => async (request) => {
  const response = await next(
    request.stream
      ? { ...request, message: shout(request.message as AsyncIterable<Note>) as never }
      : { ...request, message: mark(request.message as Note) as never },
  );
  return response.stream
    ? { ...response, message: shout(response.message as AsyncIterable<Note>) as never }
    : { ...response, message: mark(response.message as Note) as never };
};

function mark(note: Note): Note {
  return { ...note, $typeName: NoteSchema.typeName, text: `${note.text}!` };
}

async function* shout(all: AsyncIterable<Note>) {
  for await (const note of all) yield mark(note);
}

test.each(["server", "client"])("an interceptor of a %s may change messages", async (side) => {
  const interceptors = [louder];
  await using trial = await startTrial(
    echo,
    side === "server" ? { interceptors } : {},
    side === "client" ? { interceptors } : {},
  );
  expect((await trial.client.ask({ text: "a" })).text).toBe("a!!");
  const said = await Array.fromAsync(trial.client.talk(notes("a", "b")));
  expect(said.map(({ text }) => text)).toEqual(["a!!", "b!!"]);
  const read = await Array.fromAsync(trial.client.read({ text: "c", number: 2n }));
  expect(read.map(({ text }) => text)).toEqual(["c!!", "c!!"]);
});

test("an interceptor of a server that throws answers in the handler's place", async () => {
  let handled = 0;
  const closed: Interceptor = () => () => {
    throw new ConnectError("Closed for lunch", Code.Unavailable);
  };
  await using trial = await startTrial(
    {
      ask: () => ((handled += 1), {}),
      read: () => ((handled += 1), notes("one")),
    },
    { interceptors: [closed] },
  );
  const closedForLunch = { code: Code.Unavailable, rawMessage: "Closed for lunch" };
  expect(await errorOf(trial.client.ask({}))).toMatchObject(closedForLunch);
  expect(await errorOf(Array.fromAsync(trial.client.read({})))).toMatchObject(closedForLunch);
  expect(handled).toBe(0);
});

test("what an interceptor of a server throws by mistake is INTERNAL without its text", async () => {
  const broken: Interceptor = () => () => {
    throw new Error("the key is under the mat");
  };
  await using trial = await startTrial(echo, { interceptors: [broken] });
  for (const call of [trial.client.ask({}), Array.fromAsync(trial.client.read({}))]) {
    const error = await errorOf(call);
    expect(error).toMatchObject({ code: Code.Internal });
    expect(String(error)).not.toContain("mat");
  }
});

test("what an interceptor of a client throws reaches its caller, and nothing is sent", async () => {
  const own = new Error("not today");
  const refuse: Interceptor = () => () => {
    throw own;
  };
  let asked = 0;
  await using trial = await startTrial(
    { ask: () => ({ number: BigInt(++asked) }) },
    {},
    { interceptors: [refuse] },
  );
  expect(await errorOf(trial.client.ask({}))).toBe(own);
  expect(await errorOf(Array.fromAsync(trial.client.read({})))).toBe(own);
  expect(asked).toBe(0);
});

test("an interceptor sees the error of a handler, and may replace it", async () => {
  const seen: string[] = [];
  const replace: Interceptor = (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      seen.push((error as Error).message);
      throw new ConnectError("something else", Code.DataLoss);
    }
  };
  const ask = () => {
    throw new Error("the handler's own");
  };
  await using trial = await startTrial({ ask }, { interceptors: [replace] });
  expect(await errorOf(trial.client.ask({}))).toMatchObject({ code: Code.DataLoss });
  expect(seen).toEqual(["the handler's own"]);
});

test("headers go both ways, text and binary, for unary calls and streams", async () => {
  const bytes = "AP8B"; // 00 ff 01
  await using trial = await startTrial({
    ask(_, { requestHeader, responseHeader, responseTrailer }) {
      responseHeader.set("x-header", `${requestHeader.get("x-asked")} heard`);
      responseHeader.set("x-header-bin", requestHeader.get("x-asked-bin")!);
      responseTrailer.set("x-trailer", "done");
      return {};
    },
    async *read(_, { requestHeader, responseHeader, responseTrailer }) {
      responseHeader.set("x-header", `${requestHeader.get("x-asked")} heard`);
      responseHeader.set("x-header-bin", requestHeader.get("x-asked-bin")!);
      yield {};
      responseTrailer.set("x-trailer", "done");
    },
  });
  const seen: (string | null)[] = [];
  const options = {
    headers: { "x-asked": "question", "x-asked-bin": bytes },
    onHeader: (header: Headers) => seen.push(header.get("x-header"), header.get("x-header-bin")),
    onTrailer: (trailer: Headers) => seen.push(trailer.get("x-trailer")),
  };
  await trial.client.ask({}, options);
  expect(seen.splice(0)).toEqual(["question heard", bytes, "done"]);
  await Array.fromAsync(trial.client.read({}, options));
  expect(seen).toEqual(["question heard", bytes, "done"]);
});

test("the metadata of an error arrives with it", async () => {
  const fail = () => {
    throw new ConnectError("No", Code.Aborted, { "x-try": "again", "x-bytes-bin": "AP8B" });
  };
  await using trial = await startTrial({ ask: fail, read: fail });
  for (const call of [trial.client.ask({}), Array.fromAsync(trial.client.read({}))]) {
    const { metadata } = (await errorOf(call)) as ConnectError;
    expect(metadata.get("x-try")).toBe("again");
    expect(metadata.get("x-bytes-bin")).toBe("AP8B");
  }
});

test("values that an interceptor sets are there for the handler", async () => {
  const who = createContextKey("nobody");
  const introduce: Interceptor = (next) => (request) => {
    request.contextValues.set(who, request.header.get("x-who") ?? "somebody");
    return next(request);
  };
  await using trial = await startTrial(
    { ask: (_, { values }) => ({ text: values.get(who) }) },
    { interceptors: [introduce] },
  );
  const { text } = await trial.client.ask({}, { headers: { "x-who": "Ada" } });
  expect(text).toBe("Ada");
});

test("a stream that fails before its reader is there still fails", async () => {
  const dawdle: Interceptor = (next) => async (request) => {
    const response = await next(request);
    await delay(50);
    return response;
  };
  const read = () => {
    throw new ConnectError("No", Code.NotFound);
  };
  await using trial = await startTrial({ read }, {}, { interceptors: [dawdle] });
  expect(await errorOf(Array.fromAsync(trial.client.read({})))).toMatchObject({
    code: Code.NotFound,
  });
});
