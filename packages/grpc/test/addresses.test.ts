import { expect, test } from "vitest";
import { hostAndPort } from "../src/listener.js";
import { startTrial } from "./trial-server.js";

test.each([
  ["127.0.0.1", "127.0.0.1:5"],
  ["localhost", "localhost:5"],
  ["::1", "[::1]:5"],
  ["[::1]", "[::1]:5"],
  ["2001:db8::7", "[2001:db8::7]:5"],
])("the address of port 5 at %s is %s", (host, address) => {
  expect(hostAndPort(host, 5)).toBe(address);
});

test.each(["::1", "[::1]", "127.0.0.1"])(
  "a server on %s is called by the address that it names",
  async (host) => {
    const peers: string[] = [];
    await using trial = await startTrial(
      { ask: ({ text }) => ({ text }) },
      { listen: { host, port: 0 }, observers: [({ peer }) => void peers.push(peer)] },
    );
    expect((await trial.client.ask({ text: "x" })).text).toBe("x");
    expect(peers[0]).toMatch(host.includes(":") ? /^\[.*:.*\]:\d+$/ : /^[\d.]+:\d+$/);
  },
);
