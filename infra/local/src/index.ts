export { openLetters } from "./dlq/open.js";
export { audit, type AuditedShop, type AuditReport } from "./audit/audit.js";
export { printedAudit } from "./audit/printed.js";
export { Authority } from "./certificates/authority.js";

export { Certificates } from "./certificates/certificates.js";
export { realBaskets } from "./catalogue/baskets.js";
export { openingStock } from "./catalogue/opening-stock.js";
export { readProducts, type CatalogueProduct } from "./catalogue/products.js";
export { readSales, type SaleLine } from "./catalogue/sales.js";
export { stockShop, type Delivery } from "./catalogue/stock-shop.js";
export { runCommand, say } from "./commands/run-command.js";
export { announce } from "./commands/running-shop.js";
export { askedToStop } from "./commands/shutdown.js";
export { rotateDataKeys } from "./data-keys/rotate.js";
export type { Server } from "./guard/guarded-server.js";
export {
  bootInfrastructure,
  type Infrastructure,
  type InfrastructureOptions,
} from "./infrastructure.js";
export { clientKeyFile, readSecrets, scopesOf } from "./issuer/accounts.js";
export { issuerSettings, signingKeysFile } from "./issuer/issuer.js";
export { Tokens } from "./issuer/tokens.js";
export { natsUsers } from "./nats-users.js";
export { projectDirectory } from "./project.js";
export { runReplay, type ReplayOptions } from "./replay/run.js";
export type { ShopClientOptions, ShopClients } from "./shop/clients.js";
export { bootShop, type Shop } from "./shop/shop.js";
export type { ShopConfig } from "./shop/shop-config.js";
export { makeOnce } from "./temporary.js";
export { resolveTool, type ToolSearch } from "./tools/resolve.js";
