// grpc.health.v1.Health/Check in as many lines as it takes: an image needs no probe program for it.
// Exits with 0 when the process says SERVING for "", or for the service that is named.
import { connect } from "node:http2";

const [, , service = ""] = process.argv;
const address = process.env.HEALTH_LISTEN_ADDR ?? process.env.GRPC_LISTEN_ADDR ?? "";
const port = address.slice(address.lastIndexOf(":") + 1);
const session = connect(`http://127.0.0.1:${port}`);
session.on("error", ({ message }) => fail(message));
setTimeout(() => fail("no answer within 2 s"), 2_000);

const request = session.request({
  ":method": "POST",
  ":path": "/grpc.health.v1.Health/Check",
  "content-type": "application/grpc",
  te: "trailers",
});
const received = [];
request.on("data", (chunk) => received.push(chunk));
request.on("end", () => {
  // The five bytes of gRPC's frame, then field 1 (status) as a varint: 1 is SERVING.
  const [tag, status] = Buffer.concat(received).subarray(5);
  if (tag === 8 && status === 1) process.exit(0);
  fail(`status ${status ?? "unknown"}`);
});
// HealthCheckRequest: field 1, the service's name.
const name = Buffer.from(service);
const message = name.length > 0 ? Buffer.concat([Buffer.from([10, name.length]), name]) : name;
request.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));

function fail(reason) {
  console.error(`not healthy: ${reason}`);
  process.exit(1);
}
