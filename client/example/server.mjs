/** The dApp's own server. It names the prices, creates sessions with its API key, and fulfils each order once, on the service's word alone. */

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createOnramp, isProblem, OnrampProblem } from "@onramp/client";
import { verifyWebhook, WebhookError } from "@onramp/client/webhooks";

const { ONRAMP_URL = "http://127.0.0.1:3001", ONRAMP_KEY = "", ONRAMP_WEBHOOK_SECRET = "", SERVER_PORT = "5174" } = process.env;
/** @type {Record<string, string>} */
const PRICES = { small: "50", large: "250" };
const LOOK_EVERY_MS = 1000;
const onramp = createOnramp({ baseUrl: ONRAMP_URL, key: ONRAMP_KEY });
/** By reference. A real shop has a database, and reads its open orders at the start.
 * @type {Map<string, { item: string, walletAddress: string, sessionId: string, version: number, isFulfilled: boolean }>} */
const orders = new Map();
/** The ids of messages that need no second look; a real shop keeps them with its orders. @type {Set<string>} */
const handled = new Set();

/** Create the session of an order. Nothing that the page sends decides price, reference or return URL. @param {any} request */
async function order({ reference: item, walletAddress, idempotencyKey }) {
  const sourceAmount = Object.hasOwn(PRICES, item) ? PRICES[item] : undefined;
  const fields = { status: 422, code: "validation_failed", title: "Unknown package", detail: "There is no such package." };
  if (!sourceAmount || typeof idempotencyKey !== "string") throw new OnrampProblem(fields);
  // The same request gets the same order, after a restart, too.
  const reference = `order-${createHash("sha256").update(idempotencyKey).digest("hex").slice(0, 16)}`;
  const session = await onramp.sessions.create({ walletAddress, sourceAmount, sourceCurrency: "usd", reference }, { idempotencyKey });
  if (!orders.has(reference)) orders.set(reference, { item, walletAddress: session.walletAddress, sessionId: session.id, version: session.version, isFulfilled: false });
  return session;
}

/** Ask the service for an order's session, and fulfil the order if it is completed and is what was ordered. @param {string} reference */
async function look(reference) {
  const order = orders.get(reference);
  if (!order || order.isFulfilled) return;
  const session = await onramp.sessions.get(order.sessionId);
  const isWhatWasOrdered = session.reference === reference && session.walletAddress === order.walletAddress;
  if (session.status !== "completed" || !isWhatWasOrdered || Number(session.sourceAmount) !== Number(PRICES[order.item])) return;
  order.isFulfilled = true;
  console.log(`Fulfilled ${reference}: ${order.item} for ${order.walletAddress}.`);
}

/** Take a verified message as a reason to look, once for each id: a repetition, or a version older than one that was looked at, changes nothing.
 * @param {string} body @param {any} headers */
async function webhook(body, headers) {
  const event = await verifyWebhook(body, headers, ONRAMP_WEBHOOK_SECRET);
  if (event.type !== "session.completed" || !event.data.reference || handled.has(event.id)) return;
  const { reference, version } = event.data;
  const order = orders.get(reference);
  if (!order || version < order.version) return;
  order.version = version;
  await look(reference);
  if (order.isFulfilled) handled.add(event.id);
}

setInterval(() => {
  for (const reference of orders.keys()) look(reference).catch((problem) => console.error(`${reference}: ${problem.message}`));
}, LOOK_EVERY_MS);

createServer(async (request, response) => {
  const answer = (/** @type {number} */ status, /** @type {unknown} */ body) =>
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(JSON.stringify(body));
  try {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) if ((body += chunk).length > 100_000) return request.destroy();
    const route = `${request.method} ${request.url}`;
    const [, reference] = /^GET \/api\/orders\/([\w-]+)$/.exec(route) ?? [];
    if (route === "POST /api/orders") answer(201, await order(JSON.parse(body)));
    else if (reference) answer(200, { isFulfilled: orders.get(reference)?.isFulfilled ?? false });
    else if (route === "POST /webhooks/onramp") answer(204, await webhook(body, request.headers));
    else answer(404, { code: "not_found", title: "Not found", detail: "There is no such page." });
  } catch (error) {
    // What the service refuses, the page is told as it is: its purchase knows what may be tried again. Only a secret stays here.
    if (isProblem(error)) answer(error.status || 503, { code: error.code, title: error.title, detail: error.message, errors: error.errors });
    else answer(error instanceof WebhookError || error instanceof SyntaxError ? 400 : 500, { code: "invalid_request", title: "Not valid", detail: "The request is not valid." });
  }
})
  .on("error", ({ message }) => (console.error(`server: ${message}. Set SERVER_PORT to a free one.`), process.exit(1)))
  .listen(Number(SERVER_PORT), "127.0.0.1");
