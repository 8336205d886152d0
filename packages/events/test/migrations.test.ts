import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
const services = globSync("services/*/prisma/migrations", { cwd: root });

/** Statements only: comments and line breaks are free. */
function statements(sql: string): string {
  return sql.replaceAll(/--.*$/gm, "").replaceAll(/\s+/g, " ").trim();
}

const tables = statements(readFileSync(join(root, "packages/events/sql/outbox.sql"), "utf8"));

test.each(services)("%s make the tables of events as they are here", (folder) => {
  const migrations = globSync(`${folder}/*/migration.sql`, { cwd: root });
  const texts = migrations.map((path) => statements(readFileSync(join(root, path), "utf8")));
  expect(texts.filter((text) => text.includes(tables))).toHaveLength(1);
});
