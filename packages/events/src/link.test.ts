import { expect, test } from "vitest";
import { checkServerVersion, UnsupportedServerError } from "./link.js";

test.each(["2.10.23", "2.10.24-RC.1", "2.11.0", "2.15.0", "3.0.0"])(
  "%s keeps streams",
  (version) => {
    expect(() => checkServerVersion(version)).not.toThrow();
  },
);

test.each(["2.10.22", "2.9.25", "1.4.1", "", "dev"])("%j is refused", (version) => {
  expect(() => checkServerVersion(version)).toThrow(UnsupportedServerError);
});
