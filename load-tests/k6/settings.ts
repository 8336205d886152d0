/** What the command tells every script, as environment variables of k6. */
const told = (name: string, usual = "") => __ENV[name] ?? usual;

export const settings = {
  inventory: told("INVENTORY_ADDR"),
  orders: told("ORDERS_ADDR"),
  checkout: told("CHECKOUT_ADDR"),
  /** The contract as one descriptor set. */
  protoset: told("PROTOSET"),
  /** Real orders: who bought what. */
  baskets: told("BASKETS"),
  /** Files of the certificate that callers present. */
  certFile: told("TLS_CERT_FILE"),
  keyFile: told("TLS_KEY_FILE"),
  caFile: told("TLS_CA_FILE"),
  /** Where tokens come from, and what for. */
  tokenUrl: told("TOKEN_URL"),
  clientId: told("CLIENT_ID"),
  clientSecret: told("CLIENT_SECRET") || secretOf(told("CLIENT_ID"), told("SECRETS_FILE")),
  scope: told("SCOPE"),
  /** Where the summary goes, as JSON; where this is empty, k6 prints its own. */
  summary: told("SUMMARY", "summary.json"),
  /** Iterations a second, where the scenario lets it be chosen. */
  rate: Number(told("RATE", "0")),
  /** Seconds of load. */
  seconds: Number(told("SECONDS", "0")),
  /** Seconds of warming up before that. */
  warmUp: Number(told("WARM_UP") || "20"),
};

/** A client's secret in a file, as `npm start` and compose keep it. */
function secretOf(client: string, file: string): string {
  if (!file) return "";
  const { clientSecrets } = JSON.parse(open(file)) as { clientSecrets: Record<string, string> };
  return clientSecrets[client] ?? "";
}
