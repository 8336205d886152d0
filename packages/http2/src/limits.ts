/** How much one connection may take; times in milliseconds. */
export interface Http2Limits {
  /** Streams at once; one more is refused with REFUSED_STREAM. */
  maxStreams: number;
  /** Bytes of a header list, as RFC 9113 (6.5.2) counts them, that are kept; the rest is read and dropped. */
  maxHeaderListBytes: number;
  /** Bytes that a peer may have under way to this side before they are read, on the whole connection. */
  connectionWindowBytes: number;
  /** Bytes of replies that wait for the peer to read, on the whole connection. */
  maxUnreadBytes: number;
  /** Frames a second, by kind; a burst of ten seconds' worth is forgiven for resets. */
  maxPingsPerSecond: number;
  maxSettingsPerSecond: number;
  maxIdleFramesPerSecond: number;
  maxResetsPerSecond: number;
  /** Until the preface must have come. */
  prefaceTimeoutMs: number;
  /** Silence after which a PING asks whether the peer is there, and how long it has to answer. */
  keepaliveTimeMs: number;
  keepaliveTimeoutMs: number;
  /** Without a stream for this long, a connection ends with GOAWAY. */
  maxIdleMs: number;
  /** Age at which a connection is drained, so that clients find new replicas, and what its streams get. */
  maxAgeMs: number;
  maxAgeGraceMs: number;
}

/** Limits that hold unless a server is given others, after Envoy's advice for edges. */
export const defaultHttp2Limits: Http2Limits = {
  maxStreams: 100,
  maxHeaderListBytes: 16 * 1024,
  connectionWindowBytes: 1024 * 1024,
  maxUnreadBytes: 16 * 1024 * 1024,
  maxPingsPerSecond: 1_000,
  maxSettingsPerSecond: 100,
  maxIdleFramesPerSecond: 20_000,
  maxResetsPerSecond: 200,
  prefaceTimeoutMs: 10_000,
  keepaliveTimeMs: 60_000,
  keepaliveTimeoutMs: 20_000,
  maxIdleMs: 15 * 60_000,
  maxAgeMs: 30 * 60_000,
  maxAgeGraceMs: 30_000,
};
