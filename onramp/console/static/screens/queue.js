// Queue: payouts that wait, why, and for how long; each decision says what it does.

import { everything, get, optional, pages } from "../api.js";
import { grouped, words } from "../format.js";
import { amount, badge, button, choices, facts, filters, hex, html, link, nothing, outside, section, since, table, time } from "../ui.js";

const WAITING = ["awaiting_approval", "held", "reverted", "rejected"];
const STATUSES = ["planned", "approved", "held", "awaiting_approval", "signed", "broadcast", "mined", "final", "reverted", "rejected", "cancelled"];
const PATH = "/treasury/payouts";

const REASONS = {
  insufficient: "the hot wallet has too little; it goes on by itself after a refill",
  fee_ceiling: "gas costs more than the policy allows; it goes on by itself",
  payment_mismatch: "Stripe does not confirm what the database says; it is checked again",
  recipient_refused: "the recipient cannot receive it",
  reference_spent: "the contract has paid this purchase already",
  awaiting_approval: "it is above the limit for payments without a person",
  payouts_paused: "payouts are paused",
  panic: "the hot wallet is being emptied",
  not_proved_dead: "an earlier attempt could still be mined",
  screening: "the recipient is on the sanctions list",
  token_changed: "the token's address changed",
  signing_stopped: "signing is stopped until an incident is explained",
  signer_unavailable: "the signer does not answer",
  proof_unavailable: "Stripe could not be asked",
  queued: "others are before it",
  no_leader: "no process pays at the moment",
  waiting_for_second_node: "a second node has not confirmed it yet",
  chain_paused: "the chain stands still",
  reorg: "the block that held it was replaced; it is followed",
  displaced: "another transaction took its nonce",
  mismatch: "the chain shows something else than was signed",
};

export async function load(query, page) {
  const { id, view, ...rest } = query;
  const filter = { reason: rest.reason, wallet: rest.wallet, from: rest.from, to: rest.to };
  const one = id ? get(`${PATH}/${encodeURIComponent(id)}`) : null;
  if (rest.status || view === "all") {
    const [list, selected] = await Promise.all([pages(PATH, { ...filter, status: rest.status }, page.pages.queue), one]);
    return { list, selected, all: { path: PATH, query: { ...filter, status: rest.status } }, session: await sessionOf(selected) };
  }
  const [selected, ...lists] = await Promise.all([one, ...WAITING.map((status) => pages(PATH, { ...filter, status }, page.pages.queue))]);
  const data = lists.flatMap((list) => list.data).sort((first, second) => first.createdAt.localeCompare(second.createdAt));
  return { list: { data, nextCursor: lists.some((list) => list.nextCursor) }, selected, all: { rows: async () => (await Promise.all(WAITING.map((status) => everything(PATH, { ...filter, status })))).flat() }, session: await sessionOf(selected) };
}

const sessionOf = (payout) => (payout ? optional(get(`/onramp/sessions/${encodeURIComponent(payout.sessionId)}`)) : null);
const said = (row) => `${grouped(row.amount)} ${row.asset} to ${row.to}`;

const COMMANDS = {
  approve: { verb: "Pay", statuses: ["awaiting_approval", "held"], tells: (row) => html`Pays ${said(row)} for purchase ${row.sessionId}, as soon as the queue allows.` },
  reject: { verb: "Refuse", statuses: ["planned", "approved", "held", "awaiting_approval"], danger: true, tells: (row) => html`Refuses to pay ${said(row)}. The buyer has paid: they must be made good in another way, then settle this payout.` },
  retry: { verb: "Try again", statuses: ["reverted", "rejected"], tells: (row) => html`Asks for another attempt to pay ${said(row)}. A second person must ask for the same.` },
  settle: { verb: "Settle", statuses: ["reverted", "rejected"], tells: (row) => html`Closes this payout of ${said(row)}, because the buyer was made good elsewhere. Nothing is sent.` },
};

function decide(name, row, page) {
  const command = COMMANDS[name];
  const note = { name: "note", label: "Why (kept in the history and the audit log)", kind: "area", required: name === "reject" };
  const fields = name === "approve" ? undefined : name === "settle"
    ? [{ name: "txHash", label: "Transaction that paid the buyer, if there is one", pattern: "0x[0-9a-fA-F]{64}", hint: "0x and 64 hexadecimal digits" }, { ...note, label: "How the buyer was made good" }]
    : [note];
  return page.run({
    title: `${command.verb}: payout ${row.id}`,
    sentence: command.tells(row),
    details: [["Recipient", html`<code>${row.to}</code>`], ["Amount", `${grouped(row.amount)} ${row.asset}`], ["Reason", row.reason ? words(row.reason) : null]],
    fields,
    danger: command.danger,
    button: `${command.verb} ${grouped(row.amount)} ${row.asset}`,
    method: "POST",
    path: `${PATH}/${encodeURIComponent(row.id)}/${name}`,
    action: `payout.${name}`,
    subject: row.id,
  });
}

const actions = (row, page) =>
  page.can("approver")
    ? Object.entries(COMMANDS)
        .filter(([name, command]) => command.statuses.includes(row.status) && !(name === "approve" && row.status === "held" && row.reason !== "screening"))
        .map(([name, command]) => button(`${command.verb} ${grouped(row.amount)} ${row.asset}…`, () => decide(name, row, page), { kind: command.danger ? "danger" : name === "approve" ? "primary" : "" }))
    : nothing;

function one(row, session, page) {
  const buyer = session ? [["Paid", amount(session.sourceAmount, session.sourceCurrency.toUpperCase())], ["Reference of the dApp", session.reference]] : [];
  return section(
    `Payout ${row.id}`,
    html`<p class="sentence">${badge(row.status)} ${row.reason ? html`Waits because ${REASONS[row.reason] ?? words(row.reason)}.` : nothing} ${row.retryBy ? html`Another attempt was asked for by ${hex(row.retryBy)}; a second person must ask for it.` : nothing}</p>
      ${facts([
        ["Amount", amount(row.amount, row.asset)],
        ["Recipient", hex(row.to, "address")],
        ["Purchase", link(row.sessionId, "purchase", { id: row.sessionId })],
        ...buyer,
        ["Transaction", row.txHash ? (session?.delivery?.explorerUrl ? outside(session.delivery.explorerUrl, row.txHash) : hex(row.txHash, "transaction")) : null],
        ["Signed as", row.transactionId ? link(row.transactionId, "ledger", { id: row.transactionId }) : null],
        ["Created", time(row.createdAt)],
        ["Approved by", row.approvedBy ? hex(row.approvedBy) : null],
      ])}
      <h3>History</h3>
      <ol class="timeline">${row.history.map((line) => html`<li><strong>${words(line.to)}</strong> ${time(line.at)} <span class="faint">by ${hex(line.by)}</span>${line.note ? html`<br>${line.note}` : nothing}</li>`)}</ol>`,
    { actions: html`${actions(row, page)}${button("Close", () => page.set({ id: "" }), { kind: "quiet" })}` },
  );
}

export function view({ list, selected, session, all }, page) {
  const { view: shown, status } = page.query;
  const isAll = shown === "all" || status;
  return html`
    ${selected ? one(selected, session, page) : nothing}
    <section class="card">
      <div class="tabs" role="navigation" aria-label="Which payouts">
        <a href="/console/queue" aria-current=${isAll ? nothing : "page"}>Waiting</a>
        <a href="/console/queue?view=all" aria-current=${isAll ? "page" : nothing}>All</a>
      </div>
      ${filters(page, [
        ...(isAll ? [{ name: "status", label: "Status", kind: "select", options: choices(...STATUSES) }] : []),
        { name: "reason", label: "Reason", kind: "select", options: choices(...Object.keys(REASONS)) },
        { name: "wallet", label: "Recipient", placeholder: "0x…", max: 42 },
        { name: "from", label: "From", kind: "time" },
        { name: "to", label: "To", kind: "time" },
      ])}
      ${table({
        name: "payouts",
        caption: "Payouts",
        rows: list.data,
        all,
        key: (row) => row.id,
        selected: selected?.id,
        more: list.nextCursor ? () => page.more("queue") : null,
        none: isAll ? "No payout matches." : "No payout waits.",
        columns: [
          { title: "Payout", value: (row) => row.id, cell: (row) => link(row.id.slice(0, 12) + "…", "queue", { ...page.query, id: row.id }) },
          { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
          { title: "Why", kind: "wide", value: (row) => row.reason, cell: (row) => (row.reason ? (REASONS[row.reason] ?? words(row.reason)) : "") },
          { title: "Amount", kind: "number", value: (row) => row.amount, cell: (row) => amount(row.amount, row.asset) },
          { title: "Asset", kind: "unseen-column", value: (row) => row.asset },
          { title: "Recipient", value: (row) => row.to, cell: (row) => hex(row.to, "address") },
          { title: "Age", value: (row) => row.createdAt, cell: (row) => since(row.createdAt) },
          { title: "", kind: "act", value: () => "", cell: (row) => actions(row, page) },
        ].filter((column) => column.kind !== "unseen-column"),
      })}
    </section>`;
}

