import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { natsUsers } from "../../infra/local/src/nats-users.js";
import { root } from "./overlays.js";

const folder = join(root, "infra/k8s/nats");
const values = parse(readFileSync(join(folder, "values.yaml"), "utf8"), { merge: true });

// Nobody but `local`, who runs the server of `npm start`, may do everything.
test("in NATS everybody may what it may in a local shop, by its certificate", async () => {
  const users = (JSON.parse(natsUsers("emporium")) as { user: string }[]).filter(
    ({ user }) => !user.endsWith("/local"),
  );
  expect(users.length).toBeGreaterThan(3);
  const head = "# @generated from natsUsers: npx vitest run tests/k8s/nats.test.ts --update\n";
  const text = stringify({ config: { merge: { authorization: { users } } } }, { lineWidth: 0 });
  await expect(head + text).toMatchFileSnapshot(join(folder, "users.yaml"));
  expect(values.config.nats.tls).toMatchObject({
    enabled: true,
    merge: { verify_and_map: true },
  });
});

test("what NATS has acknowledged is on the disk", () => {
  expect(values.config.jetstream).toMatchObject({
    fileStore: { enabled: true, pvc: { size: expect.any(String) } },
    merge: { sync_interval: "always" },
  });
});

test("NATS' pods pass pod security, and have a version", () => {
  const nothing = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  };
  expect(values.container.image.tag).toMatch(/^\d+\.\d+\.\d+-alpine$/);
  expect(values.container.merge).toMatchObject({
    securityContext: nothing,
    resources: { limits: { memory: expect.any(String) } },
  });
  expect(values.reloader.merge.securityContext).toEqual(nothing);
  expect(values.podTemplate.merge.spec.securityContext).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
  });
});
