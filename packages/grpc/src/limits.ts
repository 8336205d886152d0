import type { ServerOptions } from "@grpc/grpc-js";

/** How much one peer may take of a server. grpc-js sets no limit unless told. */
export interface ServerLimits {
  /** Bytes of one message that comes in, decompressed. */
  maxMessageBytes: number;
  /** Bytes of one message that goes out. */
  maxReplyBytes: number;
  /** Bytes of the metadata of one call (gRPC suggests 8 KiB). */
  maxMetadataBytes: number;
  /** Calls at once on one connection. */
  maxConcurrentStreams: number;
  /** Milliseconds after which a connection is told to go away, so that clients find new replicas. */
  maxConnectionAgeMs: number;
  /** Milliseconds that calls of an aged connection have to end. */
  maxConnectionAgeGraceMs: number;
  /** Milliseconds without a call after which a connection is closed. */
  maxConnectionIdleMs: number;
  /** Milliseconds of silence after which the peer is asked whether it is there. */
  keepaliveTimeMs: number;
  /** Milliseconds that the peer has to answer. */
  keepaliveTimeoutMs: number;
  /** Connections at once. */
  maxConnections: number;
  /** Connections at once from one address (of IPv6, its first 64 bits). */
  maxConnectionsPerPeer: number;
  /** Connections at once from one address that are not through the TLS handshake. */
  maxHandshakesPerPeer: number;
  /** Calls at once from one address. */
  maxCallsPerPeer: number;
  /** Milliseconds that a peer has to prove who it is, and to speak HTTP/2. */
  handshakeTimeoutMs: number;
  /** Bytes that a peer may have under way on one connection before they are read. */
  connectionWindowBytes: number;
  /** Connections of one address closed for a flood, after which it is kept out for 10 s. */
  maxFloodsPerPeer: number;
  /** PING frames a second on one connection. Those that measure bandwidth come often. */
  maxPingsPerSecond: number;
  /** SETTINGS frames a second on one connection. */
  maxSettingsPerSecond: number;
  /** Bytes a second on one connection that carry no call and no message. */
  maxIdleBytesPerSecond: number;
}

/**
 * Limits that hold unless a server is given others; after Envoy's advice for edges. Of one stream's
 * window HTTP/2's own default holds, 65,535 bytes.
 */
export const defaultLimits: ServerLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxReplyBytes: 4 * 1024 * 1024,
  maxMetadataBytes: 8 * 1024,
  maxConcurrentStreams: 100,
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionAgeGraceMs: 30_000,
  maxConnectionIdleMs: 15 * 60_000,
  keepaliveTimeMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  maxConnections: 4_000,
  maxConnectionsPerPeer: 500,
  maxHandshakesPerPeer: 100,
  maxCallsPerPeer: 4_000,
  handshakeTimeoutMs: 10_000,
  connectionWindowBytes: 1024 * 1024,
  maxFloodsPerPeer: 10,
  maxPingsPerSecond: 1_000,
  maxSettingsPerSecond: 100,
  maxIdleBytesPerSecond: 1024 * 1024,
};

/** The limits that grpc-js keeps, by the names that it gives them; the listener keeps the others. */
export function toServerOptions(limits: ServerLimits): ServerOptions {
  return {
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxReplyBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc.max_connection_age_ms": limits.maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": limits.maxConnectionAgeGraceMs,
    "grpc.max_connection_idle_ms": limits.maxConnectionIdleMs,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
  };
}
