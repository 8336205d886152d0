import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";

test("where Node makes no code from strings, protobuf-es does all the work", () => {
  const script = `
    const { codecOf } = await import("${join(import.meta.dirname, "../src/compile.ts")}");
    const { decode, encode } = await import("${join(import.meta.dirname, "../src/index.ts")}");
    const { TimestampSchema } = await import("@bufbuild/protobuf/wkt");
    const bytes = encode(TimestampSchema, decode(TimestampSchema, Buffer.from([8, 5, 16, 6])));
    console.log(bytes.toString("hex"), /new Function|buf\\[pos/.test(String(codecOf(TimestampSchema).write)));
  `;
  const sources = join(import.meta.dirname, "conformance", "sources.ts");
  const options = ["--disallow-code-generation-from-strings", "--import", sources];
  const output = execFileSync(
    process.execPath,
    [...options, "--input-type=module", "--eval", script],
    { encoding: "utf8", cwd: import.meta.dirname, env: { ...process.env, NODE_OPTIONS: "" } },
  );
  const bytes = toBinary(TimestampSchema, create(TimestampSchema, { seconds: 5n, nanos: 6 }));
  expect(output.trim()).toBe(`${Buffer.from(bytes).toString("hex")} false`);
});
