// Server streams as text: newline-delimited JSON, and server-sent events.
import type { JsonValue, Message } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { problemOf, statusJson } from "./problem.js";

/** The messages of a stream, and how each is written. */
export interface StreamSource {
  messages: AsyncIterable<Message>;
  toJson: (message: Message) => JsonValue;
}

/** One `{"result": …}` a line, as grpc-gateway; a failure is a last line `{"error": google.rpc.Status}`. */
export async function* jsonLines({ messages, toJson }: StreamSource): AsyncGenerator<string> {
  try {
    for await (const message of messages) yield `{"result":${JSON.stringify(toJson(message))}}\n`;
  } catch (error) {
    yield `{"error":${JSON.stringify(statusJson(ConnectError.from(error)))}}\n`;
  }
}

/**
 * Server-sent events: `message` for each message, with its `resume_token` as the id, then `end` for a
 * stream that is complete, or `problem` with problem details.
 */
export async function* eventStream({ messages, toJson }: StreamSource): AsyncGenerator<string> {
  try {
    for await (const message of messages) {
      const { resumeToken } = message as Message & { resumeToken?: unknown };
      const id = typeof resumeToken === "string" && resumeToken ? `id: ${resumeToken}\n` : "";
      yield `${id}data: ${JSON.stringify(toJson(message))}\n\n`;
    }
    yield "event: end\ndata: {}\n\n";
  } catch (error) {
    const { body } = problemOf(ConnectError.from(error));
    yield `event: problem\ndata: ${JSON.stringify(body)}\n\n`;
  }
}
