import { Names, type Source } from "./names.js";

/** Subjects that a NATS user may use, as the server's configuration lists them. */
export interface NatsPermissions {
  publish: string[];
  subscribe: string[];
}

/** What a service does with events. */
export interface EventUse {
  /** What names of streams and subjects start with; `*` where many shops share a server. */
  prefix: string;
  source: Source;
  /** Its durable consumers, by the source whose events they take in. */
  consumers: Partial<Record<Source, readonly string[]>>;
}

/** Who looks after dead letters: the name of its connection. */
export const OFFICE = "dead-letters";

/** Where answers come in: under a prefix of one's own, so that nobody else can listen. */
export function inboxPrefix(name: string): string {
  return `_INBOX_${name}`;
}

/**
 * The least that a service needs of NATS: it publishes its own events only, makes its own streams,
 * and reads those of others through its own consumers. It cannot delete a stream.
 *
 * @example
 * natsPermissions({ prefix: "emporium", source: "checkout", consumers: { orders: ["refunds"] } });
 */
export function natsPermissions({ prefix, source, consumers }: EventUse): NatsPermissions {
  const names = new Names(prefix);
  const own = names.stream(source);
  const publish = [
    names.events(source),
    ...[own, names.advisoryStream(source), names.deadLetterStream].flatMap((stream) =>
      onStream(stream, ["CREATE", "UPDATE", "INFO"]),
    ),
    ...onStream(own, ["MSG.GET"]),
    // Watchers read their own service's stream through consumers whose names the client makes up.
    ...onConsumer(own, "*"),
    `$JS.API.CONSUMER.CREATE.${own}`,
    // Also letters of others can be taken away: the server does not look into the request.
    ...onStream(names.deadLetterStream, ["PURGE"]),
  ];
  for (const [from, durables] of Object.entries(consumers) as [Source, readonly string[]][]) {
    publish.push(...onStream(names.stream(from), ["MSG.GET"]));
    for (const durable of durables)
      publish.push(
        ...onConsumer(names.stream(from), durable),
        ...onConsumer(names.advisoryStream(from), durable),
        names.deadLetters(from, durable),
      );
  }
  return permit(source, publish);
}

/** What a program needs that lists and redrives dead letters; see `openDeadLetters`. */
export function deadLetterPermissions(prefix: string): NatsPermissions {
  const names = new Names(prefix);
  return permit(OFFICE, [
    ...onStream(names.deadLetterStream, ["MSG.GET", "PURGE"]),
    `${prefix}.redrive.>`,
  ]);
}

function permit(name: string, publish: string[]): NatsPermissions {
  return { publish: [...new Set(publish)], subscribe: [`${inboxPrefix(name)}.>`] };
}

/** https://docs.nats.io/reference/reference-protocols/nats_api_reference */
function onStream(stream: string, requests: string[]): string[] {
  return requests.map((request) => `$JS.API.STREAM.${request}.${stream}`);
}

function onConsumer(stream: string, consumer: string): string[] {
  return [
    `$JS.API.CONSUMER.CREATE.${stream}.${consumer}`,
    // The filter follows where there is one only.
    `$JS.API.CONSUMER.CREATE.${stream}.${consumer}.>`,
    `$JS.API.CONSUMER.DURABLE.CREATE.${stream}.${consumer}`,
    `$JS.API.CONSUMER.INFO.${stream}.${consumer}`,
    `$JS.API.CONSUMER.DELETE.${stream}.${consumer}`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
    `$JS.ACK.${stream}.${consumer}.>`,
  ];
}
