import { execFile } from "node:child_process";
import { copyFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";

/** Go modules that hold the definitions of the overlays' custom resources, and where. */
export const modules = {
  "github.com/cert-manager/cert-manager@v1.21.2": [
    "deploy/crds/cert-manager.io_certificates.yaml",
    "deploy/crds/cert-manager.io_issuers.yaml",
  ],
  "sigs.k8s.io/gateway-api@v1.6.3": [
    "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
    "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml",
    "config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
  ],
  "github.com/kedacore/keda/v2@v2.21.0": ["config/crd/bases/keda.sh_scaledobjects.yaml"],
  // The newest that the module proxy has whole; ExternalSecret v1 is the same in the chart's.
  "github.com/external-secrets/external-secrets@v0.16.2": [
    "config/crds/bases/external-secrets.io_externalsecrets.yaml",
  ],
  "github.com/cloudnative-pg/plugin-barman-cloud@v0.15.0": [
    "config/crd/bases/barmancloud.cnpg.io_objectstores.yaml",
  ],
};

/** Brings the definitions to a folder. */
export async function gatherDefinitions(folder: string): Promise<void> {
  for (const [module, files] of Object.entries(modules)) {
    // Go holds each against its public checksum database.
    const { stdout } = await promisify(execFile)("go", ["mod", "download", "-json", module]);
    const { Dir } = JSON.parse(stdout) as { Dir: string };
    for (const file of files) await copyFile(join(Dir, file), join(folder, basename(file)));
  }
}

/**
 * CloudNativePG's kinds, of which no package that can be had holds a definition: any spec will do. What
 * is in it, `schema.ts` holds against the types that the operator's own were turned into.
 */
export const cloudNativePg = ["Cluster", "ScheduledBackup"].map((kind) => {
  const singular = kind.toLowerCase();
  const group = "postgresql.cnpg.io";
  const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${singular}s.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, singular, plural: `${singular}s` },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: { type: "object", properties: { spec: anything, status: anything } },
          },
        },
      ],
    },
  };
});
