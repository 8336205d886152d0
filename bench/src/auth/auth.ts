import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { type Bench, cpuRatio, median, type Ratio, shown } from "../ratios.js";
import { certificatesFor } from "../certificates.js";
import { inTurn } from "../in-turn.js";
import { where } from "../report.js";
import { benchTokens } from "./tokens.js";
import { load } from "../rpc/load.js";
import { cpuOf, pin, ServerProcess } from "../server-process.js";

const scenarios = ["small unary", "order unary", "server stream"] as const;

/** What it costs a call to know who calls: mTLS, and the verification of a token. */
export const benchAuth: Bench = async (options) => {
  const tokens = await benchTokens(options);
  const transport = await benchTransport(options);
  return {
    text: `${transport.text}\n\n${tokens.text}`,
    data: {
      ...transport.data,
      ratios: { ...transport.data.ratios, ...tokens.data.ratios },
    },
  };
};

/** The same engine with mTLS and without, called in turn. */
const benchTransport: Bench = async ({ quick, progress }) => {
  const size = { milliseconds: quick ? 300 : 1_500 };
  const pinned = pin(process.pid, 1);
  await using stack = new AsyncDisposableStack();
  const { folder, files } = await certificatesFor(stack);
  const credentials = credentialsOf(files);
  const program = join(import.meta.dirname, "server.js");
  const plain = stack.use(await ServerProcess.start({ program }));
  const secure = stack.use(await ServerProcess.start({ program, arguments: [folder] }));
  const ratios: Record<string, Ratio> = {};
  const lines = [
    where(pinned),
    "Server CPU a call without mTLS and with it, and calls a CPU second with over without",
  ];
  for (const scenario of scenarios) {
    const measures = await inTurn(
      {
        plain: { server: plain, call: (port) => load(port, scenario, size) },
        secure: { server: secure, call: (port) => load(port, scenario, size, credentials) },
      },
      quick ? 2 : 7,
      (round) => progress(`${scenario}: ${round}`),
    );
    const [before, after] = [cpuOf(measures.plain), cpuOf(measures.secure)];
    const compared = cpuRatio(before, after);
    ratios[`calls a CPU second, mTLS over plaintext, ${scenario}`] = compared;
    lines.push(
      `  ${scenario.padEnd(14)} ${median(before).toFixed(1)} us to ${median(after).toFixed(1)} us: ${shown(compared)}`,
    );
  }
  return { text: lines.join("\n"), data: { ratios, node: process.version, pinned } };
};

function credentialsOf({
  caFile,
  keyFile,
  certFile,
}: Record<"caFile" | "keyFile" | "certFile", string>) {
  return grpc.credentials.createSsl(
    readFileSync(caFile),
    readFileSync(keyFile),
    readFileSync(certFile),
  );
}
