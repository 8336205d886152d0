import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { GrpcClient } from "../../src/index.js";
import { mutated, randomMessage, randomNumbers, sentAs } from "./random-bytes.js";

/** Calls at once. */
const AT_ONCE = 8;

/** Milliseconds for a call: some would wait for ever. */
const PATIENCE_MS = 1_000;

/** What must not be told to a caller: where in the code something went wrong. */
const STACK = /\n\s+at |node:internal|\.[jt]s:\d+|Prisma|ECONN|SELECT |relation "/;

type Call = (input: unknown, options: object) => Promise<unknown> | AsyncIterable<unknown>;

/**
 * Calls every method of a service with random and with broken messages, for so many milliseconds.
 * Returns how often each status came; throws at the first answer that tells too much, with the seed
 * that brings it about again.
 */
export async function fuzz<Service extends DescService>(
  service: Service,
  client: GrpcClient<Service>,
  { durationMs, seed = Date.now() }: { durationMs: number; seed?: number },
): Promise<Record<string, number>> {
  const random = randomNumbers(seed);
  const statuses: Record<string, number> = {};
  const until = Date.now() + durationMs;
  const callOn = async () => {
    for (let turn = 0; Date.now() < until || turn < service.methods.length; turn++) {
      const method = service.methods[turn % service.methods.length]!;
      const call = client[method.localName as keyof typeof client] as Call;
      const error = await outcomeOf(method, call, messagesFor(method, random));
      const status = error ? Code[error.code] : "Ok";
      statuses[status] = (statuses[status] ?? 0) + 1;
      const said = `${error?.rawMessage} ${JSON.stringify([...(error?.metadata ?? [])])}`;
      if (error?.code === Code.Unknown || STACK.test(said))
        throw new Error(`${method.name} said ${status} ${said} (seed ${seed})`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, callOn));
  return statuses;
}

function messagesFor({ input, methodKind }: DescMethod, random: () => number): Message[] {
  const streams = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  return Array.from({ length: streams ? 1 + Math.floor(random() * 4) : 1 }, () => {
    const bytes = randomMessage(input, random);
    return sentAs(input, random() < 0.5 ? bytes : mutated(bytes, random));
  });
}

async function outcomeOf(
  { methodKind }: DescMethod,
  call: Call,
  messages: Message[],
): Promise<ConnectError | undefined> {
  const streams = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  const input = streams ? stream(messages) : messages[0];
  try {
    const answer = call(input, { timeoutMs: PATIENCE_MS });
    if (answer instanceof Promise) await answer;
    else {
      let read = 0;
      for await (const _ of answer) if (++read === 3) break;
    }
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}

async function* stream(messages: Message[]) {
  yield* messages;
}
