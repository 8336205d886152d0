import { vi } from "vitest";

// The first test may have to wait for Go to build kustomize. One file, so that it is built once.
vi.setConfig({ testTimeout: 600_000 });

await import("./k8s/pods.js");
await import("./k8s/network.js");
await import("./k8s/schema.js");
