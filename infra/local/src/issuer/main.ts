// The local OIDC issuer, a process of its own. Plain Node: it is also run unbuilt.

import { once } from "node:events";
import { readFileSync, watchFile } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { IssuerSettings } from "./issuer-settings.ts";
import { answerLogin } from "./login-page.ts";
import { createProvider } from "./provider.ts";

/** Milliseconds between two looks at the files. */
const LOOK_MS = 250;

const [settingsFile = ""] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(settingsFile, "utf8")) as IssuerSettings;
let provider = await createProvider(settings);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", settings.issuer);
  if (pathname.startsWith("/interaction/"))
    await answerLogin(provider, settings.people, request, response);
  else await provider.callback()(request, response);
}

const certificate = () => ({
  cert: readFileSync(settings.certFile),
  key: readFileSync(settings.keyFile),
});

const server = createServer(certificate(), (request, response) => {
  answer(request, response).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    if (!response.headersSent) response.writeHead(400);
    response.end();
  });
});

// Logins under way and sessions stay: providers of one process share what they remember.
watchFile(settings.keysFile, { interval: LOOK_MS }, () => {
  createProvider(settings).then(
    (renewed) => (provider = renewed),
    (error: unknown) => process.stderr.write(`The keys stay as they were: ${String(error)}\n`),
  );
});

watchFile(settings.certFile, { interval: LOOK_MS }, () => {
  try {
    server.setSecureContext(certificate());
  } catch (error) {
    process.stderr.write(`The certificate stays as it was: ${String(error)}\n`);
  }
});

// It keeps nothing that a restart would need: who was logged in logs in again.
process.once("SIGTERM", () => process.exit());
server.listen(settings.port, settings.host);
await once(server, "listening");
process.stdout.write("The issuer is ready\n");
