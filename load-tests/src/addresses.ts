/** The services of the shop, as the scripts call them. */
export const serviceNames = ["inventory", "orders", "checkout"] as const;

export type ServiceName = (typeof serviceNames)[number];
