import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  type Client,
  Code,
  ConnectError,
  makeAnyClient,
  type Transport,
} from "@connectrpc/connect";

type Input = MessageInitShape<DescMessage>;

/**
 * The typed functions of a client over a transport. As Connect's `createClient`, but a stream ends
 * when its reader leaves the loop: Connect's hides `return`, and the call would go on unread.
 */
export function serviceClient<Service extends DescService>(
  service: Service,
  transport: Transport,
): Client<Service> {
  return makeAnyClient(service, (method) => {
    switch (method.methodKind) {
      case "unary":
        return unary(transport, method);
      case "client_streaming":
        return clientStream(transport, method);
      case "server_streaming":
      case "bidi_streaming":
        return stream(transport, method);
    }
  }) as Client<Service>;
}

function unary(transport: Transport, method: DescMethodUnary) {
  return async (input: Input, options: CallOptions = {}): Promise<Message> => {
    const { signal, timeoutMs, headers, contextValues } = options;
    const answer = await transport.unary(method, signal, timeoutMs, headers, input, contextValues);
    options.onHeader?.(answer.header);
    options.onTrailer?.(answer.trailer);
    return answer.message;
  };
}

function clientStream(transport: Transport, method: DescMethodClientStreaming) {
  const open = answers(transport, method);
  return async (input: AsyncIterable<Input>, options?: CallOptions): Promise<Message> => {
    let answer: Message | undefined;
    for await (const message of open(input, options)) {
      if (answer) throw new ConnectError(`${method.name} answered twice`, Code.Unimplemented);
      answer = message;
    }
    // UNIMPLEMENTED for a wrong number of messages: grpc/doc/statuscodes.md.
    if (!answer)
      throw new ConnectError(`${method.name} answered OK without a message`, Code.Unimplemented);
    return answer;
  };
}

function stream(transport: Transport, method: DescMethodServerStreaming | DescMethodBiDiStreaming) {
  const open = answers(transport, method);
  return (input: Input | AsyncIterable<Input>, options?: CallOptions) =>
    open(
      method.methodKind === "bidi_streaming"
        ? (input as AsyncIterable<Input>)
        : just(input as Input),
      options,
    );
}

function answers(transport: Transport, method: DescMethodStreaming) {
  return async function* (input: AsyncIterable<Input>, options: CallOptions = {}) {
    const { signal, timeoutMs, headers, contextValues } = options;
    const answer = await transport.stream(method, signal, timeoutMs, headers, input, contextValues);
    options.onHeader?.(answer.header);
    yield* answer.message as AsyncIterable<Message>;
    options.onTrailer?.(answer.trailer);
  };
}

async function* just<T>(value: T) {
  yield value;
}
