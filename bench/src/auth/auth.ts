import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Certificates } from "@emporium/local";
import * as grpc from "@grpc/grpc-js";
import { type Bench, cpuRatio, median, type Ratio, shown } from "../ratios.js";
import { benchTokens } from "./tokens.js";
import { load } from "../rpc/load.js";
import { type Measure, pin, ServerProcess } from "../server-process.js";

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
  const rounds = quick ? 2 : 7;
  const milliseconds = quick ? 300 : 1_500;
  const pinned = pin(process.pid, 1);
  const folder = await mkdtemp(join(tmpdir(), "emporium-bench-"));
  const certificates = await Certificates.open(folder);
  const credentials = credentialsOf(await certificates.filesOf("load-test"));
  const script = join(import.meta.dirname, "server.js");
  using stack = new DisposableStack();
  const plain = stack.use(await ServerProcess.start({ program: script }));
  const secure = stack.use(await ServerProcess.start({ program: script, arguments: [folder] }));
  const ratios: Record<string, Ratio> = {};
  const lines = [
    `Server CPU a call without mTLS and with it, and calls a CPU second with over without; Node ${process.version}`,
  ];
  try {
    for (const scenario of scenarios) {
      const measures: { plain: Measure[]; secure: Measure[] } = { plain: [], secure: [] };
      for (let round = -1; round < rounds; round++) {
        const without = await plain.measure((port) => load(port, scenario, { milliseconds }));
        const withTls = await secure.measure((port) =>
          load(port, scenario, { milliseconds }, credentials),
        );
        // The first round warms up.
        if (round >= 0) measures.plain.push(without);
        if (round >= 0) measures.secure.push(withTls);
        progress(`${scenario}: round ${round + 1} of ${rounds}`);
      }
      const cpu = (all: Measure[]) => all.map(({ cpuMicros }) => cpuMicros);
      const compared = cpuRatio(cpu(measures.plain), cpu(measures.secure));
      ratios[`calls a CPU second, mTLS over plaintext, ${scenario}`] = compared;
      const [before, after] = [median(cpu(measures.plain)), median(cpu(measures.secure))];
      lines.push(
        `  ${scenario.padEnd(14)} ${before.toFixed(1)} us to ${after.toFixed(1)} us: ${shown(compared)}`,
      );
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  if (!pinned) lines.push("NOT pinned to cores of their own: the figures are rough");
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
