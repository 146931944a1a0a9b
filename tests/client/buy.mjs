// Buys with the built client as a dApp would: prints each state of the purchase as a line of JSON, and verifies when told so.
import { createInterface } from "node:readline";

const [client, baseUrl, walletAddress] = process.argv.slice(2);
const [{ createOnramp }, { createPurchase }, { verifyDelivery }] = await Promise.all(
  ["index", "purchase", "verify"].map((name) => import(`${client}/${name}.js`)),
);
const purchase = createPurchase({ onramp: createOnramp({ baseUrl }), storage: null });

const print = (value) => console.log(JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part)));

purchase.subscribe(() => {
  const { payment, ...state } = purchase.getSnapshot();
  print({ ...state, hasSecret: Boolean(payment?.clientSecret) });
});

/** A node over HTTP, as a wallet's provider asks it. */
const providerOf = (url) => ({
  async request({ method, params }) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const answer = await (await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body })).json();
    if (answer.error) throw new Error(answer.error.message);
    return answer.result;
  },
});

await purchase.start({ walletAddress, sourceAmount: "31.40", sourceCurrency: "usd" });
for await (const line of createInterface({ input: process.stdin })) {
  const { url, options } = JSON.parse(line);
  print({ phase: "verified", ...(await verifyDelivery(purchase.getSnapshot().session, providerOf(url), options)) });
}
purchase.stop();
