// Purchases: search by anything an operator has at hand, the list, and one purchase's whole timeline.

import { call, get, pages } from "../api.js";
import { words } from "../format.js";
import { amount, badge, button, choices, facts, filters, hex, html, link, nothing, outside, section, since, table, time } from "../ui.js";

const STATUSES = ["awaiting_payment", "processing", "delivering", "completed", "rejected", "expired", "attention"];
const SCREENS = { purchase: "purchase", payout: "queue", sweep: "sweeps", transaction: "ledger", event: "notifications", key: "people", alarm: "now", settlement: "ledger", policy: "policy" };

// What was searched for is not in the URL: it may be a buyer's e-mail address.
let found = null;

export async function load(query, page) {
  const { id, ...filter } = query;
  const [list, one] = await Promise.all([id ? null : pages("/purchases", filter, page.pages.purchases), id ? get(`/purchases/${encodeURIComponent(id)}`) : null]);
  return { list, one, filter };
}

function search(page) {
  const submit = async (event) => {
    event.preventDefault();
    const text = new FormData(event.currentTarget).get("query").trim();
    try {
      found = { text, data: (await call("POST", "/search", { body: { query: text } })).data };
      const [hit] = found.data;
      if (found.data.length === 1 && hit.kind === "purchase") {
        found = null;
        page.set({ id: hit.id });
        return;
      }
    } catch (problem) {
      found = { text, data: [], failure: problem.message };
    }
    page.paint();
  };
  return html`<section class="card">
    <form class="search" role="search" @submit=${submit}>
      <label>Search<input name="query" type="search" required maxlength="255" autocomplete="off" spellcheck="false" placeholder="id, wallet, transaction, reference or e-mail" data-testid="search"></label><button class="primary">Search</button>
    </form>
    ${found ? results(page) : nothing}
  </section>`;
}

function results(page) {
  if (found.failure) return html`<p class="banner bad" role="alert">${found.failure}</p>`;
  const close = button("Close", () => ((found = null), page.paint()), { kind: "quiet" });
  return html`<h3 role="status">${found.data.length ? `${found.data.length} found` : "Nothing has that id, wallet, transaction, reference or e-mail address."} ${close}</h3>
    ${found.data.length
      ? table({
          name: "found",
          caption: "What was found",
          rows: found.data,
          columns: [
            { title: "Kind", value: (row) => row.kind },
            { title: "Id", value: (row) => row.id, cell: (row) => link(row.id, SCREENS[row.kind] ?? "now", { id: row.id }) },
            { title: "What", kind: "wide", value: (row) => row.title },
            { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
            { title: "When", value: (row) => row.at, cell: (row) => time(row.at) },
          ],
        })
      : nothing}`;
}

function whole({ session, attention, timeline, payout, events, webhooks, notices, mails }, page) {
  const { payment, delivery } = session;
  return html`
    ${section(
      `Purchase ${session.id}`,
      html`<p class="sentence">${badge(session.status)} ${attention ?? ""}</p>
        ${facts([
          ["Buyer pays", amount(session.sourceAmount, session.sourceCurrency.toUpperCase())],
          ["Buyer is owed", delivery.expectedAmount ? amount(delivery.expectedAmount, "MUSD") : "not known yet"],
          ["Wallet", hex(session.walletAddress, "wallet")],
          ["Payment", html`${badge(payment.status)} ${time(payment.updatedAt)}`],
          ["Stripe's session", hex(payment.stripeSessionId, "Stripe's id")],
          ["Stripe delivered", payment.destinationAmount ? html`${amount(payment.destinationAmount, payment.destinationCurrency.toUpperCase())} on ${payment.destinationNetwork}` : null],
          ["Delivery", html`${badge(delivery.status)} ${delivery.reason ? html`waits: ${words(delivery.reason)}` : nothing} ${delivery.overdue ? badge("attention") : nothing}`],
          ["Confirmations", delivery.txHash ? String(delivery.confirmations) : null],
          ["Transaction", delivery.txHash ? (delivery.explorerUrl ? outside(delivery.explorerUrl, delivery.txHash) : hex(delivery.txHash, "transaction")) : null],
          ["Payout", payout ? link(payout.id, "queue", { id: payout.id }) : null],
          ["Reference of the dApp", session.reference],
          ["Created", time(session.createdAt)],
        ])}`,
      { actions: button("All purchases", () => page.set({ id: "" }), { kind: "quiet" }) },
    )}
    ${section("Timeline", html`<ol class="timeline" data-testid="timeline">${timeline.map((entry) => html`<li><strong>${words(entry.event)}</strong> ${time(entry.at)}${entry.detail ? html`<br>${entry.detail}` : nothing}</li>`)}</ol>`)}
    ${section(
      "Stripe's events",
      table({
        name: "purchase-events", caption: "Stripe's events about it", rows: events, none: "Stripe has sent none.",
        columns: [
          { title: "Event", value: (row) => row.id, cell: (row) => link(row.id, "notifications", { id: row.id }) },
          { title: "Type", value: (row) => row.type },
          { title: "State", value: (row) => row.status, cell: (row) => badge(row.status) },
          { title: "Said", value: (row) => row.sessionStatus, cell: (row) => words(row.sessionStatus) },
          { title: "Received", value: (row) => row.receivedAt, cell: (row) => time(row.receivedAt) },
        ],
      }),
    )}
    ${section(
      "Who was told",
      table({
        name: "told", caption: "Webhooks, notices and mails", none: "Nobody yet.",
        rows: [
          ...webhooks.map((row) => ({ kind: "webhook", what: row.type, status: row.status, at: row.createdAt, detail: row.attempts.at(-1)?.reason ?? "" })),
          ...notices.map((row) => ({ kind: "notice", what: row.sentence, status: row.status, at: row.createdAt, detail: row.error ?? "" })),
          ...mails.map((row) => ({ kind: "mail to the buyer", what: row.state, status: row.status, at: row.createdAt, detail: row.reason ?? "" })),
        ],
        columns: [
          { title: "By", value: (row) => row.kind },
          { title: "What", kind: "wide", value: (row) => row.what },
          { title: "State", value: (row) => row.status, cell: (row) => badge(row.status) },
          { title: "When", value: (row) => row.at, cell: (row) => time(row.at) },
          { title: "Why it failed", value: (row) => row.detail },
        ],
      }),
    )}`;
}

export function view({ list, one, filter }, page) {
  return html`${search(page)} ${one
    ? whole(one, page)
    : section(
        "Newest purchases",
        html`${filters(page, [
            { name: "status", label: "Status", kind: "select", options: choices(...STATUSES) },
            { name: "wallet", label: "Wallet", placeholder: "0x…", max: 42 },
            { name: "from", label: "From", kind: "time" },
            { name: "to", label: "To", kind: "time" },
          ])}
          ${table({
            name: "purchases", caption: "Purchases", rows: list.data, none: "No purchase matches.", all: { path: "/purchases", query: filter }, key: (row) => row.id,
            more: list.nextCursor ? () => page.more("purchases") : null,
            columns: [
              { title: "Purchase", value: (row) => row.id, cell: (row) => link(`${row.id.slice(0, 12)}…`, "purchase", { id: row.id }) },
              { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
              { title: "Pays", kind: "number", value: (row) => row.sourceAmount, cell: (row) => amount(row.sourceAmount, row.sourceCurrency.toUpperCase()) },
              { title: "Owed in MUSD", kind: "number", value: (row) => row.delivery.expectedAmount, cell: (row) => amount(row.delivery.expectedAmount) },
              { title: "Wallet", value: (row) => row.walletAddress, cell: (row) => hex(row.walletAddress, "wallet") },
              { title: "Waits for", value: (row) => row.delivery.reason, cell: (row) => words(row.delivery.reason) },
              { title: "Age", value: (row) => row.createdAt, cell: (row) => since(row.createdAt) },
            ],
          })}`,
      )}`;
}
