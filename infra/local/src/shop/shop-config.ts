import type { Certificates } from "../certificates/certificates.js";
import type { InfrastructureOptions } from "../infrastructure.js";
import type { IssuerPlace } from "../issuer/login.js";
import type { Ports } from "../ports.js";
import type { Databases } from "../postgres/databases.js";
import type { ServiceName, ServiceSettings } from "./services.js";

/** What a shop is made of; everything has a default. */
export interface ShopConfig extends Omit<InfrastructureOptions, "ports"> {
  /**
   * A Postgres, a NATS and an issuer that run already, such as `testInfrastructure()`: the shop takes
   * fresh databases and a fresh event prefix there. Absent, it boots its own.
   */
  backing?: {
    databases: Databases;
    natsUrl: string;
    certificates: Certificates;
    issuer: IssuerPlace;
  };
  /** Whether every server is a process of its own, as in production, or all are in this one. */
  processes?: boolean;
  /** Servers of each service; one where absent. */
  replicas?: Partial<Record<ServiceName, number>>;
  /** Fixed ports, of the first replica each; any free one where absent. */
  ports?: Ports;
  /** ISO 4217 code of all prices; GBP where absent. */
  currency?: string;
  /** Of the services' logs; `info` for processes, `silent` in this one, where absent. */
  logLevel?: string;
  /** Milliseconds that calls under way get when the shop stops; 10,000 where absent. */
  shutdownGraceMs?: number;
  /** Node's arguments for a process; a small heap where absent, since all share one machine. */
  nodeArguments?: string[];
  /** More settings for services in this process: a clock, shorter times. */
  settings?: ServiceSettings;
  /** More environment variables for a process, by its label; asked for at each start. */
  environment?: (label: string) => Record<string, string>;
  /** Told the lines of the processes' logs that are worth a look: warnings and worse. */
  onLine?: (label: string, line: string) => void;
}
