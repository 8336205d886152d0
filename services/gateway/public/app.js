// The page of the gateway: what it shows comes from the services, by the Connect protocol (JSON over POST)
// and, for streams, by server-sent events of the REST form.

const $ = (id) => document.getElementById(id);
const INVENTORY = "emporium.inventory.v1.InventoryService";
const ORDERS = "emporium.orders.v2.OrderService";
const CHECKOUT = "emporium.checkout.v1.CheckoutService";
const LONGEST_WIRE = 30;
const MAX_WATCHED = 100;

const state = { customer: "", cart: new Map(), pageToken: "", stock: new Map() };

/** Calls a method and lists the call; throws the error that the service gave. */
async function call(service, method, request = {}) {
  const started = performance.now();
  const response = await fetch(`/${service}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const reply = await response.json();
  list(method, response.ok ? "OK" : (reply.code ?? response.status), performance.now() - started);
  if (!response.ok) throw new Error(reply.message ?? reply.detail ?? reply.code);
  return reply;
}

function list(name, status, milliseconds) {
  const row = $("wire").tBodies[0].insertRow(0);
  row.insertCell().textContent = name;
  const cell = row.insertCell();
  cell.textContent = status;
  if (status !== "OK") cell.className = "bad";
  const time = row.insertCell();
  time.className = "number";
  time.textContent = `${milliseconds.toFixed(0)} ms`;
  while ($("wire").tBodies[0].rows.length > LONGEST_WIRE) $("wire").tBodies[0].deleteRow(-1);
}

const price = ({ units = "0", nanos = 0, currencyCode = "GBP" } = {}) =>
  new Intl.NumberFormat("en-GB", { style: "currency", currency: currencyCode }).format(
    Number(units) + nanos / 1e9,
  );

/** An id of the contract: a prefix and a UUIDv7 in base 32 (TypeID). */
function newId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setBigUint64(
    0,
    (BigInt(Date.now()) << 16n) | 0x7000n | (BigInt(bytes[6] & 15) << 8n) | BigInt(bytes[7]),
  );
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  let value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let at = 0; at < 26; at++, value >>= 5n)
    text = "0123456789abcdefghjkmnpqrstvwxyz"[Number(value & 31n)] + text;
  return `${prefix}_${text}`;
}

async function showCatalogue() {
  $("catalogue-state").textContent = "Loading…";
  const { products = [], nextPageToken = "" } = await call(INVENTORY, "ListProducts", {
    pageSize: 20,
    pageToken: state.pageToken,
  });
  state.pageToken = nextPageToken;
  for (const product of products) addProduct(product);
  $("catalogue").hidden = false;
  $("more").hidden = nextPageToken === "";
  $("catalogue-state").textContent = products.length === 0 ? "The shop has no products." : "";
  watchStock();
}

function addProduct({ sku, title, unitPrice }) {
  const row = $("catalogue").tBodies[0].insertRow();
  row.insertCell().textContent = title;
  const cost = row.insertCell();
  cost.className = "number";
  cost.textContent = price(unitPrice);
  const stock = row.insertCell();
  stock.className = "number";
  stock.textContent = "…";
  state.stock.set(sku, stock);
  const button = document.createElement("button");
  button.textContent = "Add";
  button.setAttribute("aria-label", `Add ${title} to the cart`);
  button.addEventListener("click", () => {
    const line = state.cart.get(sku) ?? { title, quantity: 0 };
    state.cart.set(sku, { ...line, quantity: line.quantity + 1 });
    showCart();
  });
  row.insertCell().append(button);
}

function setStock(sku, level) {
  const cell = state.stock.get(sku);
  if (cell) cell.textContent = level?.available ?? "0";
}

/** Levels as they change: a server stream, as server-sent events. */
function watchStock() {
  const skus = [...state.stock.keys()].slice(-MAX_WATCHED);
  if (skus.length === 0) return;
  // One stream for all: browsers open few connections to one host.
  state.stockEvents?.close();
  const query = new URLSearchParams(skus.map((sku) => ["skus", sku]));
  state.stockEvents = new EventSource(`/v1/stock:watch?${query}`);
  list("WatchStock (stream)", "OK", 0);
  state.stockEvents.addEventListener("message", ({ data }) => {
    const { levels = [] } = JSON.parse(data);
    for (const level of levels) setStock(level.sku, level);
  });
}

function showCart() {
  $("cart").replaceChildren(
    ...[...state.cart].map(([sku, { title, quantity }]) => {
      const item = document.createElement("li");
      item.textContent = `${quantity} × ${title} `;
      const remove = document.createElement("button");
      remove.textContent = "Remove";
      remove.setAttribute("aria-label", `Remove ${title} from the cart`);
      remove.addEventListener("click", () => {
        state.cart.delete(sku);
        showCart();
      });
      item.append(remove);
      return item;
    }),
  );
  const isEmpty = state.cart.size === 0;
  $("cart-empty").hidden = !isEmpty;
  $("checkout").hidden = isEmpty;
}

async function buy(paymentToken) {
  const checkoutId = newId("chk");
  const lines = [...state.cart].map(([sku, { quantity }]) => ({ sku, quantity: String(quantity) }));
  $("steps").replaceChildren();
  $("outcome").textContent = "";
  const bought = call(CHECKOUT, "CompleteOrder", {
    checkoutId,
    customerId: state.customer,
    cart: { lines },
    paymentToken,
  });
  const watch = watchCheckout(checkoutId);
  try {
    const { checkout } = await bought;
    $("outcome").textContent = `Bought: order ${checkout.orderId}`;
    state.cart.clear();
    showCart();
  } catch (error) {
    $("outcome").textContent = `Not bought: ${error.message}`;
  } finally {
    watch.stop();
  }
  await showOrders();
}

/** Shows each step of a checkout as it happens: a server stream, as server-sent events. */
function watchCheckout(checkoutId) {
  let events;
  let isStopped = false;
  list("WatchCheckout (stream)", "OK", 0);
  const open = () => {
    events = new EventSource(`/v1/checkouts/${checkoutId}:watch`);
    events.addEventListener("message", ({ data }) => {
      const { kind = "" } = JSON.parse(data).step ?? {};
      addStep(kind.replace("CHECKOUT_STEP_KIND_", "").replaceAll("_", " ").toLowerCase());
    });
    events.addEventListener("end", () => events.close());
    // It can be watched from the moment it is written down, which may be a moment from now.
    events.addEventListener("problem", () => {
      events.close();
      if (!isStopped) setTimeout(open, 50);
    });
  };
  open();
  return { stop: () => (isStopped = true) };
}

function addStep(text) {
  const item = document.createElement("li");
  item.textContent = text;
  $("steps").append(item);
}

async function cancelOrder(orderId) {
  await call(ORDERS, "CancelOrder", { orderId, reason: "CANCEL_REASON_CUSTOMER_REQUEST" });
  await showOrders();
}

async function showOrders() {
  const { orders = [] } = await call(ORDERS, "ListOrders", {
    customerId: state.customer,
    pageSize: 10,
  });
  $("orders-state").hidden = orders.length > 0;
  $("orders").replaceChildren(
    ...orders.map(({ orderId, status, total }) => {
      const item = document.createElement("li");
      const name = String(status?.state ?? "")
        .replace("ORDER_STATE_", "")
        .toLowerCase();
      item.textContent = `${orderId}: ${price(total)}, ${name} `;
      if (name === "placed") {
        const cancel = document.createElement("button");
        cancel.textContent = "Cancel";
        cancel.setAttribute("aria-label", `Cancel order ${orderId}`);
        cancel.addEventListener("click", () => void cancelOrder(orderId).catch(showError));
        item.append(cancel);
      }
      return item;
    }),
  );
}

$("more").addEventListener("click", () => void showCatalogue().catch(showError));
$("checkout").addEventListener("submit", (event) => {
  event.preventDefault();
  void buy(new FormData(event.target).get("token"));
});
$("sign-out").addEventListener("click", () => {
  void fetch("/auth/sign-out", { method: "POST" }).then(() => location.reload());
});

function showError(error) {
  $("catalogue-state").textContent = error.message;
  $("catalogue-state").className = "bad";
}

const session = await fetch("/auth/session");
if (session.ok) {
  const { customer } = await session.json();
  state.customer = customer;
  $("customer").textContent = `Customer ${customer}`;
  $("sign-in").hidden = true;
  $("sign-out").hidden = false;
  await showCatalogue().catch(showError);
  await showOrders().catch(showError);
}
