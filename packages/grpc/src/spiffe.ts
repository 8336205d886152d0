/** What all names of this system begin with; a system of your own has its own. */
export const TRUST_DOMAIN = "emporium.example";

const NAME = new RegExp(`^URI:spiffe://${TRUST_DOMAIN.replaceAll(".", "\\.")}/([a-z0-9-]{1,63})$`);

/** The name that a service or program bears in its certificate (SPIFFE-ID 2.1). */
export function spiffeId(name: string): string {
  return `spiffe://${TRUST_DOMAIN}/${name}`;
}

/**
 * The service or program that a certificate is for, by its subject alternative names as Node prints
 * them; `undefined` unless there is exactly one URI among them (X.509-SVID 2) and it is a name of
 * this system. It says nothing of the certificate's signature: ask of verified ones only.
 *
 * @example
 * serviceNameOf("URI:spiffe://emporium.example/orders, DNS:localhost"); // "orders"
 */
export function serviceNameOf(subjectAltName: string | undefined): string | undefined {
  // Node quotes a name that could be mistaken for several (CVE-2021-44532); ours never need that.
  if (!subjectAltName || subjectAltName.includes('"')) return undefined;
  const uris = subjectAltName.split(", ").filter((name) => name.startsWith("URI:"));
  return uris.length === 1 ? NAME.exec(uris[0]!)?.[1] : undefined;
}
