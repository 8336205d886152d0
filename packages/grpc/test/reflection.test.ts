import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { createFileRegistry, fromBinary, type Registry } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import * as protoLoader from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTrial, type Trial } from "./trial-server.js";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");

let trial: Trial;
beforeAll(async () => {
  trial = await startTrial({
    ask: ({ text, number }) => ({ text: `${text} heard`, number }),
    async *read({ number }) {
      for (let i = 1n; i <= number; i++) yield { number: i };
    },
  });
});
afterAll(() => trial[Symbol.asyncDispose]());

type Answer = Record<string, unknown> & {
  fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
};

/** Asks as any gRPC client does that has the service's .proto file and nothing of ours. */
async function ask(version: string, ...questions: object[]): Promise<Answer[]> {
  const definition = protoLoader.loadSync(`grpc/reflection/${version}/reflection.proto`, {
    includeDirs: [join(root, "third_party/proto")],
  });
  const name = `grpc.reflection.${version}.ServerReflection`;
  const Client = grpc.makeClientConstructor(definition[name] as grpc.ServiceDefinition, name);
  const client = new Client(trial.server.address, grpc.credentials.createInsecure());
  const call = client["ServerReflectionInfo"]!() as grpc.ClientDuplexStream<object, Answer>;
  for (const question of questions) call.write(question);
  call.end();
  try {
    return await Array.fromAsync(call as AsyncIterable<Answer>);
  } finally {
    client.close();
  }
}

function filesIn({ fileDescriptorResponse }: Answer): FileDescriptorProto[] {
  return (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

function registryOf(answer: Answer): Registry {
  const [asked, ...imported] = filesIn(answer);
  return createFileRegistry(asked!, (name) => imported.find((file) => file.name === name));
}

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  test("lists the services", async () => {
    const [answer] = await ask(version, { listServices: "" });
    expect(answer!["listServicesResponse"]).toMatchObject({
      service: expect.arrayContaining([
        { name: "trial.v1.TrialService" },
        { name: "grpc.health.v1.Health" },
        { name: "grpc.reflection.v1.ServerReflection" },
      ]) as unknown,
    });
  });

  test("gives the file of a service with all that it imports", async () => {
    const [answer] = await ask(version, { fileContainingSymbol: "trial.v1.TrialService" });
    const registry = registryOf(answer!);
    expect(registry.getService("trial.v1.TrialService")?.method["ask"]?.input.typeName).toBe(
      "trial.v1.Note",
    );
    expect(registry.getExtension("emporium.options.v1.call")?.number).toBe(50001);
  });

  test("finds methods, messages, fields, enums and extensions by name", async () => {
    const names = [
      "trial.v1.TrialService.Ask",
      "trial.v1.Note",
      "trial.v1.Note.text",
      "trial.v1.Mood",
      "emporium.options.v1.call",
      "google.protobuf.FieldDescriptorProto.Type",
    ];
    const answers = await ask(version, ...names.map((name) => ({ fileContainingSymbol: name })));
    expect(answers.map((answer) => filesIn(answer)[0]?.name)).toEqual([
      ...Array.from({ length: 4 }, () => "trial/v1/trial.proto"),
      "emporium/options/v1/options.proto",
      "google/protobuf/descriptor.proto",
    ]);
  });

  test("finds files by name, and extensions by number", async () => {
    const [file, extension, numbers] = await ask(
      version,
      { fileByFilename: "emporium/options/v1/options.proto" },
      {
        fileContainingExtension: {
          containingType: "google.protobuf.MethodOptions",
          extensionNumber: 50002,
        },
      },
      { allExtensionNumbersOfType: "google.protobuf.MethodOptions" },
    );
    expect(filesIn(file!)[0]?.package).toBe("emporium.options.v1");
    expect(filesIn(extension!)[0]?.package).toBe("emporium.options.v1");
    expect(numbers!["allExtensionNumbersResponse"]).toMatchObject({
      extensionNumber: expect.arrayContaining([50001, 50002, 50003]) as unknown,
    });
  });

  test("says NOT_FOUND for what is not here, and goes on", async () => {
    const answers = await ask(
      version,
      { fileContainingSymbol: "no.such.Thing" },
      { fileByFilename: "no/such.proto" },
      { allExtensionNumbersOfType: "no.such.Thing" },
      { fileContainingSymbol: "trial.v1.Note" },
    );
    for (const answer of answers.slice(0, 3))
      expect(answer["errorResponse"]).toMatchObject({ errorCode: 5 });
    expect(filesIn(answers[3]!)).not.toHaveLength(0);
  });
});

test.each(["grpc-v1", "grpc-v1alpha"])(
  "buf curl calls a method that it knows by %s",
  async (reflection) => {
    const { stdout } = await run(join(root, "node_modules/.bin/buf"), [
      "curl",
      `--reflect-protocol=${reflection}`,
      "--protocol=grpc",
      "--http2-prior-knowledge",
      '--data={"text":"hello","number":"9007199254740993"}',
      `http://${trial.server.address}/trial.v1.TrialService/Ask`,
    ]);
    expect(JSON.parse(stdout)).toEqual({ text: "hello heard", number: "9007199254740993" });
  },
);

const grpcurl = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  process.env["GOBIN"] ?? join(homedir(), "go/bin"),
]
  .map((folder) => join(folder, "grpcurl"))
  .find(existsSync);

test("grpcurl lists, describes and calls", async ({ skip }) => {
  const install = "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";
  if (!grpcurl) return skip(`grpcurl is not here; ${install} gets it`);
  const curl = async (...args: string[]) => {
    const data = args[0] === "call" ? ["-d", '{"number":2}'] : [];
    const rest = args[0] === "call" ? args.slice(1) : args;
    return (await run(grpcurl, ["-plaintext", ...data, trial.server.address, ...rest])).stdout;
  };
  expect(await curl("list")).toContain("trial.v1.TrialService");
  expect(await curl("describe", "trial.v1.TrialService.Read")).toContain(
    "rpc Read ( .trial.v1.Note ) returns ( stream .trial.v1.Note )",
  );
  const notes = await curl("call", "trial.v1.TrialService/Read");
  expect(notes.match(/"number": "\d"/g)).toEqual(['"number": "1"', '"number": "2"']);
});
