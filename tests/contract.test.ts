import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileRegistry, type DescFile, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { contractProblems } from "../scripts/contract-rules.ts";

const root = join(import.meta.dirname, "..");
/** The contract as buf builds it, after a change to one of its files. */
function build(change?: { file: string; replace: string | RegExp; by: string }): DescFile[] {
  const folder = mkdtempSync(join(tmpdir(), "contract-"));
  try {
    for (const part of ["proto", "third_party", "buf.yaml"])
      cpSync(join(root, part), join(folder, part), { recursive: true });
    if (change) {
      const path = join(folder, "proto/emporium", change.file);
      const before = readFileSync(path, "utf8");
      const after = before.replace(change.replace, change.by);
      expect(after, "the change applies").not.toBe(before);
      writeFileSync(path, after);
    }
    const image = execFileSync("buf", ["build", "--as-file-descriptor-set", "-o", "-"], {
      cwd: folder,
      maxBuffer: 64 << 20,
    });
    const set = fromBinary(FileDescriptorSetSchema, image, { readUnknownFields: true });
    return [...createFileRegistry(set).files].filter(({ proto }) =>
      proto.package.startsWith("emporium."),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the contract leaves nothing unsaid", () => {
  expect(contractProblems(build())).toEqual([]);
});

const service = "inventory/v1/inventory_service.proto";
const resources = "inventory/v1/resources.proto";

test.each([
  [
    "a method without idempotency_level",
    service,
    /option idempotency_level = [A-Z_]+;/,
    "",
    "does not say its idempotency_level",
  ],
  [
    "a method without call",
    service,
    /option \(emporium.options.v1.call\) = \{[\s\S]*?\n {4}\};/,
    "",
    "does not say how it runs",
  ],
  [
    "a method without access",
    service,
    /option \(emporium.options.v1.access\) = \{[\s\S]*?\n {4}\};/,
    "",
    "does not say who may call it",
  ],
  [
    "a delegate for what is nobody's",
    service,
    "owner: OWNER_NONE",
    'owner: OWNER_NONE\n      delegates: ["checkout"]',
    "access names delegates, but no owner",
  ],
  [
    "a method without failures",
    service,
    "option (emporium.options.v1.failures) = {};",
    "",
    "does not say how it may fail",
  ],
  [
    "a method without a REST form",
    service,
    /option \(google.api.http\) = \{get: "\/v1\/products"\};/,
    "",
    "does not say its REST form",
  ],
  [
    "a deadline longer than the longest time",
    service,
    "deadline: {seconds: 5}",
    "deadline: {seconds: 50}",
    "call.longest is less than its deadline",
  ],
  [
    "a unary method that takes two requests",
    service,
    "max_requests: 1",
    "max_requests: 2",
    "call.max_requests does not fit",
  ],
  [
    "a stream without a bound",
    service,
    "max_responses: 10000000",
    "max_responses: 0",
    "call.max_responses does not fit",
  ],
  [
    "hedging with side effects",
    service,
    /idempotency_level = NO_SIDE_EFFECTS;(\s+option \(google.api.http\) = \{get: "\/v1\/products\/)/,
    "idempotency_level = IDEMPOTENT;$1",
    "is hedged, but has side effects",
  ],
  [
    "a reason that does not exist",
    service,
    '"RESERVATION_COMMITTED"',
    '"RESERVATION_LOST"',
    "no reason of its package",
  ],
  [
    "a reason that nobody gives",
    service,
    'reasons: ["RESERVATION_COMMITTED"]',
    "",
    "no method fails with REASON_RESERVATION_COMMITTED",
  ],
  [
    "a string without a bound",
    resources,
    "(buf.validate.field).string.max_len = 200,",
    "",
    "Product.title: has no max_len",
  ],
  [
    "a list without a bound",
    resources,
    "(buf.validate.field).repeated.max_items = 1000,",
    "",
    "Reservation.lines: a list without max_items",
  ],
  [
    "a request field without its behavior",
    service,
    /,\s+\(google.api.field_behavior\) = OPTIONAL(\s+\];\s+\/\/ `next_page_token`)/,
    "$1",
    "page_size: has no field_behavior",
  ],
  [
    "a deprecated method without a day that it goes away",
    "orders/v1/order_service.proto",
    /option \(emporium.options.v1.retirement\) = \{[\s\S]*?\n {4}\};/,
    "",
    "is deprecated without a day that it goes away",
  ],
  [
    "a sunset that is no day",
    "orders/v1/order_service.proto",
    "2027-06-30",
    "summer",
    "retirement.sunset_date is no day",
  ],
  [
    "a sunset before the deprecation",
    "orders/v1/order_service.proto",
    "2027-06-30",
    "2026-06-30",
    "leaves its callers no time",
  ],
  [
    "a reason without a code",
    "inventory/v1/reason.proto",
    "code: NOT_FOUND",
    "",
    "has no status code",
  ],
])("%s is refused", (_, file, replace, by, problem) => {
  const problems = contractProblems(build({ file, replace, by }));
  expect(problems.join("\n")).toContain(problem);
});
