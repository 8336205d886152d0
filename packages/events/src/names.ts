/** The services that publish events. */
export type Source = "inventory" | "orders" | "checkout";

/**
 * Names of streams and subjects under one prefix, so that several shops can share one server.
 *
 *     <prefix>.<source>.v1.<MessageName>.<aggregate id>              an event
 *     <prefix>.redrive.<source>.<consumer>.<MessageName>.<aggregate id>   an event again, for one consumer
 *     <prefix>.dlq.<source>.<consumer>.<event id>                    a dead letter
 */
export class Names {
  /** For permissions of a server that many shops share: stands for every prefix. */
  static readonly EVERY = "*";
  readonly prefix: string;

  constructor(prefix: string) {
    if (prefix !== Names.EVERY && !/^[A-Za-z0-9_-]{1,64}$/.test(prefix)) {
      throw new TypeError(
        `event prefix ${JSON.stringify(prefix)} is not 1 to 64 letters, digits, - or _`,
      );
    }
    this.prefix = prefix;
  }

  stream(source: Source): string {
    return this.#stream(source);
  }

  advisoryStream(source: Source): string {
    return this.#stream(`${source}_ADVISORIES`);
  }

  get deadLetterStream(): string {
    return this.#stream("DEAD_LETTERS");
  }

  /** Version and name come from the message's full name: `emporium.orders.v1.OrderPlaced`. */
  event(source: Source, type: string, aggregateId: string): string {
    const [name, version] = type.split(".").reverse();
    return `${this.prefix}.${source}.${version ?? "v1"}.${name}.${token(aggregateId)}`;
  }

  /** The events of one source; of one aggregate where its id is given. */
  events(source: Source, aggregateId?: string): string {
    const events = `${this.prefix}.${source}`;
    return aggregateId === undefined ? `${events}.>` : `${events}.*.*.${token(aggregateId)}`;
  }

  redrive(source: Source, consumer: string, type: string, aggregateId: string): string {
    const name = type.slice(type.lastIndexOf(".") + 1);
    return `${this.prefix}.redrive.${source}.${consumer}.${name}.${token(aggregateId)}`;
  }

  redrives(source: Source, consumer?: string): string {
    return [this.prefix, "redrive", source, consumer ?? [], ">"].flat().join(".");
  }

  deadLetter(source: Source, consumer: string, eventId: string): string {
    return `${this.prefix}.dlq.${source}.${consumer}.${token(eventId)}`;
  }

  deadLetters(source?: Source, consumer?: string): string {
    return `${this.prefix}.dlq.${source ?? "*"}.${consumer ?? "*"}.*`;
  }

  /** What the server says about messages of a stream that it gives up delivering. */
  advisories(source: Source, consumer = "*"): string[] {
    return ["MAX_DELIVERIES", "MSG_TERMINATED"].map(
      (kind) => `$JS.EVENT.ADVISORY.CONSUMER.${kind}.${this.stream(source)}.${consumer}`,
    );
  }

  #stream(suffix: string): string {
    // Streams have names of one token, of which no part can be left open.
    return this.prefix === Names.EVERY ? Names.EVERY : `${this.prefix}_${suffix}`.toUpperCase();
  }
}

/** One token of a subject: what would end or widen it is percent-encoded. */
function token(text: string): string {
  return encodeURIComponent(text).replace(/[.*!'()~]/g, percentEncoded) || "%";
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
