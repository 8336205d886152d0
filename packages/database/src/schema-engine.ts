import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { SqlMigrationAwareDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import type { SchemaEngine } from "@prisma/schema-engine-wasm/schema_engine_bg";

type EngineModule = typeof import("@prisma/schema-engine-wasm/schema_engine_bg");

/** The part used here; the compiler's libraries know WebAssembly only together with the DOM. */
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
};

let loading: Promise<EngineModule> | undefined;

/**
 * Prisma's schema engine, the one behind `prisma migrate deploy`, as WebAssembly. It is loaded
 * when first asked for, since a running service has no use for it, and once per process: its
 * JavaScript half keeps one instance in a module variable.
 */
export async function startSchemaEngine(
  schema: { path: string; content: string },
  adapter: SqlMigrationAwareDriverAdapterFactory,
): Promise<SchemaEngine> {
  const { bindMigrationAwareSqlAdapterFactory } = await import("@prisma/driver-adapter-utils");
  const { SchemaEngine } = await (loading ??= loadEngine());
  return SchemaEngine.new(
    { datamodels: [[schema.path, schema.content]] },
    () => undefined,
    bindMigrationAwareSqlAdapterFactory(adapter),
  );
}

async function loadEngine(): Promise<EngineModule> {
  const { resolve } = createRequire(import.meta.url);
  const module = await import("@prisma/schema-engine-wasm/schema_engine_bg");
  const folder = resolve("@prisma/schema-engine-wasm/schema_engine_bg").replace(/[^\\/]+$/, "");
  const { instance } = await WebAssembly.instantiate(
    await readFile(`${folder}schema_engine_bg.wasm`),
    { "./schema_engine_bg.js": module },
  );
  module.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return module;
}
