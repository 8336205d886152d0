export { CommitUnknownError } from "./commit-unknown-error.js";
export { createDatabaseIfMissing } from "./create-database.js";
export { Database, type DatabaseOptions } from "./database.js";
export { migrate, MigrationError, type MigrateOptions } from "./migrate.js";
export type { OutboxRow } from "./outbox.js";
export type { IsolationLevel } from "./prisma-pool.js";
export { sqlStateOf } from "./sql-state.js";
export type { PrismaClientLike, TransactionOptions, Tx } from "./transaction.js";
