import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Provider } from "oidc-provider";
import type { Person } from "./issuer-settings.ts";

/** Bytes of a form; more is no login. */
const LARGEST_FORM = 4 * 1024;

/** Shows the form on GET, and takes what was filled in on POST to the same address. */
export async function answerLogin(
  provider: Provider,
  people: Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Rejects where the browser has no cookie of this very login.
  await provider.interactionDetails(request, response);
  if (request.method !== "POST") return show(response, 200, "");
  if (Number(request.headers["content-length"] ?? Infinity) > LARGEST_FORM)
    return show(response, 413, "That is too much for a login.");
  const form = new URLSearchParams(await text(request));
  const person = people.find(({ name }) => name === form.get("name"));
  // Compared also where there is no such person: how long it takes tells nothing.
  const isRight = isSame(form.get("password") ?? "", person?.password ?? "");
  if (!person || !isRight) return show(response, 401, "Name or password is wrong.");
  const login = { accountId: person.subject };
  await provider.interactionFinished(request, response, { login });
}

function isSame(given: string, right: string): boolean {
  const [a, b] = [given, right].map((word) => createHash("sha256").update(word).digest());
  return timingSafeEqual(a!, b!);
}

function show(response: ServerResponse, status: number, complaint: string): void {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
  });
  response.end(PAGE.replace("<!-- complaint -->", complaint));
}

/** The form posts to where it came from. */
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Emporium: log in</title>
    <style>
      body { font: 1rem system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; }
      form { display: grid; gap: 0.75rem; width: 16rem; }
      label { display: grid; gap: 0.25rem; }
      input, button { font: inherit; padding: 0.4rem; }
    </style>
  </head>
  <body>
    <form method="post">
      <h1>Emporium</h1>
      <p role="alert"><!-- complaint --></p>
      <label>Name <input name="name" autocomplete="username" required autofocus /></label>
      <label>Password
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <button>Log in</button>
    </form>
  </body>
</html>
`;
