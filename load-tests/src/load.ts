import { execFileSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { getCACertificates } from "node:tls";
import { parseArgs } from "node:util";
import { askedToStop, projectDirectory, runCommand, say, scopesOf } from "@emporium/local";
import { type ServiceName, serviceNames } from "./addresses.js";
import { writeBaskets } from "./baskets.js";
import { killServers } from "./faults.js";
import { runK6 } from "./k6.js";
import { findKnee } from "./knee.js";
import { junit, type LoadReport, printed, reportOf } from "./report.js";
import { type Scenario, scenarios } from "./scenarios.js";
import { CALLER, type Credentials, elsewhere, ownShop, type Target } from "./target.js";

const usage = `npm run load -- <scenario> [--rate N] [--seconds N] [--warm-up N] [--json]
          [--inventory HOST:PORT --orders HOST:PORT --checkout HOST:PORT
           --ca FILE --cert FILE --key FILE --issuer URL --secrets FILE]
${Object.entries(scenarios)
  .map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`)
  .join("\n")}
  --rate     iterations a second (watchers for streams; where the search begins for breakpoint)
  --seconds  how long
  --warm-up  seconds of load before that, which nothing is asked of; 20 by default, 0 for none
  --json     print the report as one JSON object
  Addresses name a shop that runs elsewhere, and the others how to prove oneself to it: PEM files of
  the authority, of a certificate and its key, the issuer of tokens, and the JSON file with the secret
  of its client ${CALLER}. Without them a shop is opened for the run.`;

const text = { type: "string" } as const;

const credentialNames: (keyof Credentials)[] = ["ca", "cert", "key", "issuer", "secrets"];

/** Seconds of warming up before each step of the search but the first. */
const STEP_WARM_UP_S = 5;

await runCommand(usage, async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rate: text,
      seconds: text,
      "warm-up": text,
      json: { type: "boolean" },
      ...Object.fromEntries([...serviceNames, ...credentialNames].map((name) => [name, text])),
    },
  });
  const [name = ""] = positionals;
  const scenario = scenarios[name];
  if (!scenario) throw new Error(usage);
  const signal = askedToStop();
  const folder = join(projectDirectory, ".emporium/load", `${name}-${Date.now()}`);
  await mkdir(folder, { recursive: true });

  const given = placeOf(values);
  await using target = given
    ? await elsewhere(given.addresses, given.credentials)
    : await ownShop(scenario, signal);

  const environment = {
    ...(await files(folder)),
    INVENTORY_ADDR: target.addresses.inventory,
    ORDERS_ADDR: target.addresses.orders,
    CHECKOUT_ADDR: target.addresses.checkout,
    ...(await tokens(target.issuer)),
    // Go's own variable: k6 trusts the issuer's certificate by it, whoever has signed that.
    SSL_CERT_FILE: await authorities(folder),
    TLS_CERT_FILE: target.tls.certFile,
    TLS_KEY_FILE: target.tls.keyFile,
    TLS_CA_FILE: target.tls.caFile,
    WARM_UP: values["warm-up"] ?? "",
    ...(values.seconds && { SECONDS: values.seconds }),
    ...(values.rate && { RATE: values.rate }),
  };
  const load = (script: string, own: Record<string, string> = {}) =>
    measure(script, target, scenario, {
      folder,
      environment: { ...environment, ...own },
      signal,
    });
  const report =
    name === "breakpoint"
      ? await breakpoint(Number(values.rate ?? 10), (own) => load("step", own))
      : await load(name);
  const books = await target.audit?.();
  if (books) {
    const { holds, products, differences } = books;
    report.audit = { holds, products, differences };
    report.passed &&= holds;
  }
  await writeFile(join(folder, "report.json"), JSON.stringify(report, null, 2));
  await writeFile(join(folder, "junit.xml"), junit(report));
  console.log(values.json ? JSON.stringify(report) : printed(report));
  say(`report.json, junit.xml and k6's HTML are in ${relative(process.cwd(), folder)}`);
  if (!report.passed) throw new Error(`${name} did not keep its objectives`);
});

/** Where a shop runs elsewhere, and how to prove oneself to it; `undefined` where none is named. */
function placeOf(values: Record<string, unknown>) {
  const names = [...serviceNames, ...credentialNames];
  const missing = names.filter((name) => !values[name]);
  if (missing.length === names.length) return undefined;
  if (missing.length > 0) throw new Error(`A shop elsewhere also needs --${missing.join(", --")}`);
  const { inventory, orders, checkout, ...credentials } = values as Record<ServiceName, string> &
    Credentials;
  return { addresses: { inventory, orders, checkout }, credentials };
}

/** A file with all that this process trusts. */
async function authorities(folder: string): Promise<string> {
  const file = join(folder, "authorities.pem");
  await writeFile(file, getCACertificates("default").join("\n"));
  return file;
}

/** Where k6 gets its tokens (OpenID Connect Discovery 1.0, 4), and with what. */
async function tokens({ url, clientSecret }: { url: string; clientSecret: string }) {
  const response = await fetch(`${url}/.well-known/openid-configuration`);
  const { token_endpoint } = (await response.json()) as { token_endpoint: string };
  return {
    TOKEN_URL: token_endpoint,
    CLIENT_ID: CALLER,
    CLIENT_SECRET: clientSecret,
    SCOPE: scopesOf(CALLER).join(" "),
  };
}

/** The contract and the orders, as k6 reads them. */
async function files(folder: string): Promise<Record<string, string>> {
  const [protoset, baskets] = [join(folder, "shop.binpb"), join(folder, "baskets.json")];
  const buf = join(projectDirectory, "node_modules/.bin/buf");
  execFileSync(buf, ["build", "-o", protoset, "--as-file-descriptor-set"], {
    cwd: projectDirectory,
  });
  await writeBaskets(baskets);
  return { PROTOSET: protoset, BASKETS: baskets };
}

/** Runs k6 once, and counts what it cost the servers. */
async function measure(
  script: string,
  target: Target,
  scenario: Scenario,
  run: { folder: string; environment: Record<string, string>; signal: AbortSignal },
): Promise<LoadReport> {
  const ending = new AbortController();
  const faults =
    scenario.faults && target.shop ? killServers(target.shop, ending.signal, say) : undefined;
  const core = target.pinned ? 1 : undefined;
  const ran = await runK6(script, { ...run, core, processes: () => target.processes() });
  ending.abort();
  const kills = await faults;
  return {
    ...reportOf(script, ran, target.pinned),
    ...(kills !== undefined && { found: { "servers killed": kills } }),
  };
}

/** The last step that passed, with the knee that was found. */
async function breakpoint(
  start: number,
  load: (own: Record<string, string>) => Promise<LoadReport>,
): Promise<LoadReport> {
  let best: LoadReport | undefined;
  let last: LoadReport | undefined;
  const { knee } = await findKnee(start, async (rate) => {
    say(`Trying ${rate} visits a second`);
    // From the second on the servers are warm, and only k6's connections are new.
    last = await load({ RATE: String(rate), ...(last && { WARM_UP: String(STEP_WARM_UP_S) }) });
    if (last.passed) best = last;
    return last.passed;
  });
  return {
    ...(best ?? last!),
    scenario: "breakpoint",
    found: { "visits a second at the knee": knee },
  };
}
