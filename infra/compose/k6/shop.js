// Load on the whole shop from inside its network: customers that look at stock, buy, and look at the
// order. RATE iterations a second for DURATION; k6 prints what became of them.
import grpc from "k6/net/grpc";
import http from "k6/http";
import { check } from "k6";

const place = "/run/emporium";
const tls = {
  cert: open(`${place}/tls.crt`),
  key: open(`${place}/tls.key`),
  cacerts: [open(`${place}/ca.crt`)],
};
const addresses = {
  inventory: "inventory:50052",
  orders: "orders:50051",
  checkout: "checkout:50053",
};
const clients = Object.fromEntries(
  Object.keys(addresses).map((name) => {
    const client = new grpc.Client();
    client.loadProtoset(`${place}/contract.binpb`);
    return [name, client];
  }),
);
const letters = "0123456789abcdefghjkmnpqrstvwxyz";

const { clientSecrets } = JSON.parse(open(`${place}/secrets.json`));

export const options = {
  scenarios: {
    customers: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 20),
      duration: __ENV.DURATION || "30s",
      preAllocatedVUs: 20,
      maxVUs: 200,
    },
  },
  thresholds: { checks: ["rate>0.99"] },
};

/** A token for all; it lasts for ten minutes. */
export function setup() {
  const basic = `load-test:${encodeURIComponent(clientSecrets["load-test"])}@`;
  const answer = http.post(`https://${basic}issuer:8444/token`, {
    grant_type: "client_credentials",
    scope: "catalogue.read checkout.write orders.read support",
  });
  return answer.json("access_token");
}

export default function customer(token) {
  if (__ITER === 0)
    for (const [name, client] of Object.entries(clients)) client.connect(addresses[name], { tls });
  call(token, "inventory", "emporium.inventory.v1.InventoryService/CheckStock", {
    skus: ["85123A"],
  });
  const { message } = call(
    token,
    "checkout",
    "emporium.checkout.v1.CheckoutService/CompleteOrder",
    {
      checkoutId: newId("chk"),
      customerId: "load-test",
      cart: { lines: [{ sku: "85123A", quantity: 1 }] },
      paymentToken: "tok_approve",
    },
  );
  const orderId = message?.checkout?.orderId;
  if (orderId) call(token, "orders", "emporium.orders.v2.OrderService/GetOrder", { orderId });
}

function call(token, service, method, request) {
  const metadata = { authorization: `Bearer ${token}` };
  const answer = clients[service].invoke(method, request, { metadata });
  const served = check(answer, { [`${method} is OK`]: ({ status }) => status === grpc.StatusOK });
  if (!served) console.warn(`${method}: status ${answer.status}, ${answer.error?.message}`);
  return answer;
}

/** A TypeID: the time, then what nobody else has. */
function newId(prefix) {
  let value = BigInt(Date.now());
  let time = "";
  for (let digit = 0; digit < 10; digit++) {
    time = letters[Number(value & 31n)] + time;
    value >>= 5n;
  }
  let rest = "";
  for (let digit = 0; digit < 16; digit++) rest += letters[Math.floor(Math.random() * 32)];
  return `${prefix}_${time}${rest}`;
}
