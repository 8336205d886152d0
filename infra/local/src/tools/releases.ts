/** A program that the project needs and npm does not have. */
export type ToolName = "nats-server" | "k6";

/** What is known of one tool: where it comes from and which version it is. */
export interface Release {
  /** The version that is downloaded and built. */
  version: string;
  /** The oldest version that is accepted where the machine has one already. */
  oldest: string;
  /** The environment variable that names an executable to use. */
  variable: string;
  /** Prints the version. */
  versionArguments: string[];
  /** Folder of the release archives, below the download address. */
  folder: string;
  /** The Go packages that `go install` builds; each is tried after those before it. */
  goPackages: [string, ...string[]];
  /** Archives by `process.platform` and `process.arch`, with their SHA-256. */
  archives: Record<string, { file: string; sha256: string }>;
}

/**
 * The pinned releases. The sums are those that the projects publish beside their archives:
 * https://github.com/nats-io/nats-server/releases, https://github.com/grafana/k6/releases.
 */
export const releases: Record<ToolName, Release> = {
  "nats-server": {
    version: "2.15.0",
    // Below 2.10.23 whole streams were lost (nats-server #6888); `sync_interval: always` was
    // mended up to 2.12.
    oldest: "2.12.0",
    variable: "NATS_SERVER",
    versionArguments: ["--version"],
    folder: "nats-io/nats-server/releases/download/v2.15.0",
    goPackages: ["github.com/nats-io/nats-server/v2@v2.15.0"],
    archives: {
      "linux-x64": {
        file: "nats-server-v2.15.0-linux-amd64.tar.gz",
        sha256: "5d2c51caca950333aba84911df7d377f826f3a59ec36061c6539105084f65c92",
      },
      "linux-arm64": {
        file: "nats-server-v2.15.0-linux-arm64.tar.gz",
        sha256: "cdc208f5a3f42963a52b6ab06ef65626bb870315dc936e26ba571780c6351112",
      },
      "darwin-x64": {
        file: "nats-server-v2.15.0-darwin-amd64.tar.gz",
        sha256: "5bd8b59ca5bf93fab3da2c5843cf564cd6e2e291e22ae3b861746e7ebe259b95",
      },
      "darwin-arm64": {
        file: "nats-server-v2.15.0-darwin-arm64.tar.gz",
        sha256: "e1c4e22d70bd44abfa0bcb3c16f7cf0c66f648c2e728c58924e8a1ce88913cc8",
      },
      "win32-x64": {
        file: "nats-server-v2.15.0-windows-amd64.zip",
        sha256: "2d0861dc2ca3567d17f7d19611d7b346cc2ccbd7086a0a77cc957a2c71663200",
      },
    },
  },
  k6: {
    version: "2.3.0",
    // The last of the 1.x runs the same tests, and is what some module proxies have.
    oldest: "1.8.0",
    variable: "K6",
    versionArguments: ["version"],
    folder: "grafana/k6/releases/download/v2.3.0",
    goPackages: ["go.k6.io/k6/v2@v2.3.0", "go.k6.io/k6@v1.8.1"],
    archives: {
      "linux-x64": {
        file: "k6-v2.3.0-linux-amd64.tar.gz",
        sha256: "39c3117b6af817592dcd0ce4242105c0a7af10948c2a425306f0be8f7a8a8ab1",
      },
      "linux-arm64": {
        file: "k6-v2.3.0-linux-arm64.tar.gz",
        sha256: "5ca3433e8201da72a284aaa241a1bb5fb47f4abb4e384d39410ddd8062f49b90",
      },
      "darwin-x64": {
        file: "k6-v2.3.0-macos-amd64.zip",
        sha256: "c83bb16f54f0676afa4ea235fd757f3892d307dbd1bd201450de83af31986654",
      },
      "darwin-arm64": {
        file: "k6-v2.3.0-macos-arm64.zip",
        sha256: "b2417a3038edc5fe81dc178a889237724b595c5c9cfed875822008e46e862c7d",
      },
      "win32-x64": {
        file: "k6-v2.3.0-windows-amd64.zip",
        sha256: "112276d495e5741c968e2bc09ea6196099c1275bd6db9ee0875d173c7148ce43",
      },
    },
  },
};
