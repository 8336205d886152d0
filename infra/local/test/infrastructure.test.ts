import pg from "pg";
import { expect, test } from "vitest";
import { testInfrastructure } from "@emporium/local/test";

test("a fresh database is owned by a role of its own", async () => {
  const { freshDatabase } = await testInfrastructure();
  const url = await freshDatabase("orders");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  expect((await client.query("SELECT current_user AS me")).rows).toEqual([
    { me: url.split("/").at(-1) },
  ]);
  await client.end();
});
