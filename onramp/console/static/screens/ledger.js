// Ledger: the accounts of each asset, what moved between them, and what is not explained.

import { call, get, optional, pages } from "../api.js";
import { grouped, shortened, words } from "../format.js";
import { amount, badge, button, facts, hex, html, nothing, section, subject, table, time, toast } from "../ui.js";

const ACCOUNTS = [
  ["available", "Available"], ["held", "Held"], ["inFlight", "In flight"], ["cold", "Cold wallet"], ["paidOut", "Paid out"], ["gas", "Gas"],
  ["externalIn", "Came in"], ["suspense", "Suspense"], ["receivable", "Receivable"], ["sold", "Sold"], ["settled", "Settled"],
];

let compared = null;

export const follows = ["balance"];

export async function load(query, page) {
  const [ledger, transaction, settlements] = await Promise.all([pages("/treasury/ledger", {}, page.pages.ledger), query.id?.startsWith("txn_") ? get(`/treasury/transactions/${encodeURIComponent(query.id)}`) : null, optional(pages("/treasury/settle-usdc", { status: query.status }, page.pages.settlements))]);
  return { ...ledger, transaction, settlements };
}

async function reconcile(page) {
  try {
    compared = await call("POST", "/treasury/reconcile", { body: undefined });
    toast(compared.agrees ? "Ledger and chain agree." : "Ledger and chain do not agree.");
    page.refresh();
  } catch (problem) {
    if (problem.code === "otp_required" || problem.code === "second_factor_required") {
      compared = (await page.run({ title: "Compare ledger and chain", sentence: "Compares ledger and chain at one agreed block; a difference is posted to suspense.", button: "Compare ledger and chain now", method: "POST", path: "/treasury/reconcile", bare: true })) ?? null;
    } else toast(problem.message);
  }
  page.paint();
}

const explain = (subject, page) =>
  page.run({
    title: `Explain ${subject}`,
    sentence: html`Records where ${subject} went. Two persons must give an explanation before the alarm ends.`,
    fields: [{ name: "note", label: "Where it went (kept in the ledger and the audit log)", kind: "area", required: true }],
    body: { subject },
    button: `Explain ${subject}`,
    method: "POST",
    path: "/treasury/answer",
    action: "incident.answer",
    subject,
  });

const settle = (page) =>
  page.run({
    title: "Record USDC that arrived",
    sentence: "Clears receivable USDC by a transaction on Stripe's network: at once if that chain shows it, else when a second person confirms it.",
    fields: [
      { name: "txHash", label: "Transaction", required: true, pattern: "0x[0-9a-fA-F]{64}", hint: "0x and 64 hexadecimal digits" },
      { name: "amount", label: "Amount in USDC, or leave it empty and give a purchase", pattern: "[0-9]+([.][0-9]+)?", hint: "a number such as 1500.00" },
      { name: "sessionId", label: "Purchase", pattern: "ons_[A-Za-z0-9]+", hint: "its id, ons_…" },
      { name: "note", label: "Note", kind: "area" },
    ],
    button: (values) => `Record ${values.amount ? grouped(values.amount) : "the purchase's"} USDC as arrived`,
    method: "POST",
    path: "/treasury/settle-usdc",
    action: "usdc.settle",
    subject: (values) => values.txHash,
  });

/** A second person confirms a claim by making the same one. */
const confirmSettlement = (row, page) =>
  page.run({
    title: "Confirm that USDC arrived",
    sentence: html`Confirms that ${grouped(row.amount)} USDC arrived by the transaction ${row.txHash}. Look at that transaction on its own chain first.`,
    button: `Confirm that ${grouped(row.amount)} USDC arrived`,
    method: "POST",
    path: "/treasury/settle-usdc",
    body: row.sessionId ? { txHash: row.txHash, sessionId: row.sessionId } : { txHash: row.txHash, amount: row.amount },
    action: "usdc.settle",
    subject: row.txHash,
  });

function decideSettlement(row, verb, page) {
  return page.run({
    title: `${verb === "reverse" ? "Reverse" : "Reject"} a settlement`,
    sentence: html`${verb === "reverse" ? "Reverses" : "Rejects"} the settlement of ${grouped(row.amount)} USDC by the transaction ${row.txHash}.`,
    fields: [{ name: "note", label: "Why", kind: "area" }],
    button: `${verb === "reverse" ? "Reverse" : "Reject"} the settlement of ${grouped(row.amount)} USDC`,
    danger: true,
    method: "POST",
    path: `/treasury/settle-usdc/${encodeURIComponent(row.id)}/${verb}`,
    action: `usdc.${verb}`,
    subject: row.id,
  });
}

/** The accounts as rows, and a column for each asset: there are many accounts and few assets. */
function accountTable(holdings, page) {
  const several = new Set(holdings.map((row) => row.wallet)).size > 1;
  const cell = (holding, name) => (Number(holding[name]) ? amount(holding[name]) : html`<span class="faint">0</span>`);
  const explainable = page.can("approver") ? holdings.filter((holding) => Number(holding.suspense)) : [];
  return html`${table({
      name: "accounts", caption: "The accounts of each asset", json: holdings, rows: holdings.length ? ACCOUNTS : [], none: "Nothing was posted yet.",
      columns: [
        { title: "Account", value: ([, title]) => title, cell: ([name, title]) => html`<strong>${title}</strong> ${name === "suspense" && holdings.some((holding) => Number(holding.suspense)) ? html`<span class="badge bad">unexplained</span>` : nothing}` },
        ...holdings.map((holding) => ({ title: several ? `${holding.asset} of ${shortened(holding.wallet)}` : holding.asset, kind: "number", value: ([name]) => holding[name], cell: ([name]) => cell(holding, name) })),
      ],
    })}
    ${several ? nothing : html`<p class="faint">Wallet ${hex(holdings[0]?.wallet, "wallet")}. Each column adds up to zero; available, held and in flight are what the wallet has.</p>`}
    ${explainable.map((holding) => button(`Explain the missing ${holding.asset}…`, () => explain(holding.asset, page), { kind: "danger" }))}`;
}

function comparison(page) {
  if (!compared) return nothing;
  return html`<div class=${`banner ${compared.agrees ? "good" : "bad"}`} role="status">${compared.agrees ? "Ledger and chain agree" : "Ledger and chain do not agree"} at block ${compared.blockNumber}.</div>
    ${compared.data.map((row) => facts([["Asset", row.asset], ["On chain", amount(row.onChain, row.asset)], ["This comparison found", amount(row.change, row.asset)], ["Still unexplained", amount(row.suspense, row.asset)]]))}
    ${compared.unexplained.length
      ? html`<h3>Transactions that no row explains</h3>${table({
          name: "unexplained", caption: "Transactions that no row explains", rows: compared.unexplained,
          columns: [
            { title: "Id", value: (row) => row.id, cell: (row) => hex(row.id) }, { title: "Nonce", kind: "number", value: (row) => row.nonce },
            { title: "Transaction", value: (row) => row.txHash, cell: (row) => hex(row.txHash) }, { title: "To", value: (row) => row.to, cell: (row) => hex(row.to) },
            { title: "Note", kind: "wide", value: (row) => row.note }, { title: "Noticed", value: (row) => row.noticedAt, cell: (row) => time(row.noticedAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => (page.can("approver") ? button("Explain…", () => explain(row.id, page)) : nothing) },
          ],
        })}`
      : nothing}`;
}

/** A transaction of the hot wallet, with each of its signatures. */
function signed(row, page) {
  return section(
    `Transaction ${row.id}`,
    html`<p class="sentence">${badge(row.status)} ${row.stall ? html`It does not advance: ${words(row.stall)}.` : nothing}</p>
      ${facts([
        ["Amount", amount(row.amount)], ["To", hex(row.to, "address")], ["For", subject(row.operationId)], ["Nonce", row.nonce === null ? "given back" : String(row.nonce)],
        ["Block", row.blockNumber === null ? null : String(row.blockNumber)], ["Payments in it", row.payments.length ? String(row.payments.length) : null], ["Created", time(row.createdAt)],
      ])}
      ${table({
        name: "attempts", caption: "Signatures of the transaction", rows: row.attempts, none: "It is not signed yet.",
        columns: [
          { title: "Hash", value: (attempt) => attempt.hash, cell: (attempt) => hex(attempt.hash, "transaction") },
          { title: "Highest fee in wei", kind: "number", value: (attempt) => attempt.maxFeePerGas, cell: (attempt) => (attempt.maxFeePerGas === null ? "" : grouped(attempt.maxFeePerGas, 0)) },
          { title: "Signed", value: (attempt) => attempt.signedAt, cell: (attempt) => time(attempt.signedAt) },
          { title: "Sent", kind: "number", value: (attempt) => attempt.broadcasts },
        ],
      })}
      <h3>History</h3>
      <ol class="timeline">${row.history.map((line) => html`<li><strong>${words(line.to)}</strong> ${time(line.at)} <span class="faint">by ${hex(line.by)}</span>${line.note ? html`<br>${line.note}` : nothing}</li>`)}</ol>`,
    { actions: button("Close", () => page.set({ id: "" }), { kind: "quiet" }) },
  );
}

export function view({ accounts, earlier, data, nextCursor, settlements, transaction }, page) {
  return html`
    ${transaction ? signed(transaction, page) : nothing}
    ${section("Accounts", html`
      ${accountTable([...accounts, ...earlier], page)}
      ${comparison(page)}`, { actions: page.can("operator") ? button("Compare ledger and chain now", () => reconcile(page)) : nothing })}
    ${settlements
      ? section(
          "USDC from Stripe",
          table({
            name: "settlements", caption: "Settlements of USDC", rows: settlements.data, none: "No settlement yet.", all: { path: "/treasury/settle-usdc" },
            more: settlements.nextCursor ? () => page.more("settlements") : null,
            columns: [
              { title: "Transaction", value: (row) => row.txHash, cell: (row) => hex(row.txHash, "transaction") },
              { title: "Amount", kind: "number", value: (row) => row.amount, cell: (row) => amount(row.amount, "USDC") },
              { title: "Status", value: (row) => row.status, cell: (row) => html`${badge(row.status)} ${row.verified ? "verified" : ""}` },
              { title: "Evidence", kind: "wide", value: (row) => row.evidence, cell: (row) => html`${row.evidence}${row.contradiction ? html`<br><span class="badge bad">contradicted</span> ${row.contradiction}` : nothing}` },
              { title: "Proposed by", value: (row) => row.proposedBy, cell: (row) => hex(row.proposedBy) },
              { title: "At", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
              { title: "", kind: "act", value: () => "", cell: (row) => (page.can("operator") && row.id ? html`${["settled", "reversal_awaiting_approval"].includes(row.status) ? button(row.reversalBy ? "Confirm the reversal…" : "Reverse…", () => decideSettlement(row, "reverse", page)) : nothing}${row.status === "awaiting_approval" ? button("Confirm…", () => confirmSettlement(row, page), { kind: "primary" }) : nothing}${row.status.endsWith("awaiting_approval") ? button("Reject…", () => decideSettlement(row, "reject", page)) : nothing}` : nothing) },
            ],
          }),
          { actions: page.can("operator") ? button("Record USDC that arrived…", () => settle(page)) : nothing },
        )
      : nothing}
    ${section(
      "Postings",
      table({
        name: "postings", caption: "Postings, the newest first", rows: data, none: "Nothing was posted yet.", all: { path: "/treasury/ledger" }, more: nextCursor ? () => page.more("ledger") : null,
        columns: [
          { title: "At", value: (row) => row.at, cell: (row) => time(row.at) },
          { title: "Amount", kind: "number", value: (row) => row.amount, cell: (row) => amount(row.amount) },
          { title: "Asset", value: (row) => row.asset },
          { title: "Kind", value: (row) => row.kind, cell: (row) => words(row.kind) },
          { title: "From", value: (row) => row.from, cell: (row) => words(row.from) },
          { title: "To", value: (row) => row.to, cell: (row) => words(row.to) },
          { title: "Subject", value: (row) => row.subject, cell: (row) => subject(row.subject) },
          { title: "Block", kind: "number", value: (row) => row.blockNumber },
          { title: "By", value: (row) => row.by, cell: (row) => hex(row.by) },
          { title: "Note", value: (row) => row.note },
        ],
      }),
    )}`;
}
