// Sweeps: transfers to the cold wallet, panic, and the refill sheet that the Safe's owners sign.

import { get, optional, pages } from "../api.js";
import { grouped, words } from "../format.js";
import { amount, badge, button, choices, download, facts, filters, hex, html, link, nothing, section, table, time } from "../ui.js";

const PATH = "/treasury/sweeps";
const STATUSES = ["planned", "awaiting_approval", "approved", "held", "signed", "broadcast", "mined", "final", "reverted", "rejected", "cancelled"];
const PENDING = ["planned", "awaiting_approval", "approved", "held"];

export const follows = ["balance"];

export async function load(query, page) {
  const { id, refill, amount: asked, ...filter } = query;
  const [list, plan, one, balances] = await Promise.all([
    pages(PATH, filter, page.pages.sweeps),
    optional(get("/treasury/plan")),
    id ? get(`${PATH}/${encodeURIComponent(id)}`) : null,
    get("/treasury/balances"),
  ]);
  const sheet = refill && asked ? await refillOf(refill, asked) : null;
  return { list, filter, plan: plan?.data ?? [], one, balances: balances.data, sheet };
}

async function refillOf(asset, asked) {
  try {
    return { asset, ...(await get("/treasury/refill", { asset, amount: asked })) };
  } catch (problem) {
    if (problem.status === 0 || problem.status >= 500) throw problem;
    return { failure: problem.message };
  }
}

const propose = (plan, page) =>
  page.run({
    title: `Propose a sweep of ${plan.asset}`,
    sentence: html`Moves ${plan.asset} from the hot wallet to the cold wallet. ${plan.approvalNeeded ? "Another person must approve it." : ""}`,
    fields: [
      { name: "amount", label: `Amount in ${plan.asset}, or the word excess for what the policy would take`, required: true, pattern: "excess|[0-9]+([.][0-9]+)?", hint: "a number such as 1500.00, or excess" },
      { name: "note", label: "Why (kept in the history and the audit log)", kind: "area" },
    ],
    body: { asset: plan.asset },
    button: (values) => `Propose to move ${values.amount === "excess" ? "the excess" : grouped(values.amount)} ${plan.asset} to the cold wallet`,
    method: "POST",
    path: PATH,
    action: "sweep.propose",
    subject: plan.asset,
  });

const panic = (page) =>
  page.run({
    title: "Panic: empty the hot wallet",
    sentence: "Proposes to move everything in the hot wallet to the cold wallet, below every floor and while everything is paused. Another person must approve it. Buyers wait until the hot wallet is refilled.",
    fields: [{ name: "note", label: "Why (kept in the history and the audit log)", kind: "area", required: true }],
    danger: true,
    button: "Propose to empty the hot wallet into the cold wallet",
    method: "POST",
    path: "/treasury/panic",
    action: "sweep.panic",
    subject: "hot_wallet",
  });

function decide(name, row, page) {
  const isRejection = name === "reject";
  return page.run({
    title: `${isRejection ? "Reject" : "Approve"} sweep ${row.id}`,
    sentence: isRejection ? html`Rejects moving ${grouped(row.amount)} ${row.asset} to ${row.to}. Nothing moves.` : html`Moves ${grouped(row.amount)} ${row.asset} from the hot wallet to the cold wallet ${row.to}.`,
    details: [["Amount", `${grouped(row.amount)} ${row.asset}`], ["Destination", html`<code>${row.to}</code>`], ["Policy version", row.policyVersion], ["Proposed by", row.proposedBy]],
    fields: isRejection ? [{ name: "note", label: "Why", kind: "area" }] : undefined,
    danger: isRejection,
    button: `${isRejection ? "Reject moving" : "Move"} ${grouped(row.amount)} ${row.asset}`,
    method: "POST",
    path: `${PATH}/${encodeURIComponent(row.id)}/${name}`,
    action: `sweep.${name}`,
    subject: row.id,
  });
}

const actions = (row, page) => html`
  ${row.status === "awaiting_approval" && page.can("approver") ? button("Approve…", () => decide("approve", row, page), { kind: "primary" }) : nothing}
  ${PENDING.includes(row.status) && page.can("approver") ? button("Reject…", () => decide("reject", row, page), { kind: "danger" }) : nothing}`;

function one(row, page) {
  return section(
    `${row.kind === "panic" ? "Panic" : "Sweep"} ${row.id}`,
    html`<p class="sentence">${badge(row.status)} ${words(row.reason)}</p>
      ${facts([
        ["Amount", amount(row.amount, row.asset)],
        ["Destination", hex(row.to, "address")],
        ["Proposed by", hex(row.proposedBy, "key id")],
        ["Approved by", row.approvedBy ? hex(row.approvedBy, "key id") : null],
        ["Policy version", row.policyVersion],
        ["Lapses", row.expiresAt ? time(row.expiresAt) : null],
        ["Transaction", row.txHash ? hex(row.txHash, "transaction") : null],
        ["Signed as", row.transactionId ? link(row.transactionId, "ledger", { id: row.transactionId }) : null],
        ["Created", time(row.createdAt)],
      ])}
      <h3>History</h3>
      <ol class="timeline">${row.history.map((line) => html`<li><strong>${words(line.to)}</strong> ${time(line.at)} <span class="faint">by ${hex(line.by)}</span>${line.note ? html`<br>${line.note}` : nothing}</li>`)}</ol>`,
    { actions: html`${actions(row, page)}${button("Close", () => page.set({ id: "" }), { kind: "quiet" })}` },
  );
}

function refillCard({ balances, sheet }, page) {
  const asset = page.query.refill ?? balances[0]?.asset ?? "MUSD";
  const form = filters(page, [
    { name: "refill", label: "Asset", kind: "select", options: [["", "choose"], ...balances.map((row) => [row.asset, row.asset])] },
    { name: "amount", label: "Amount", placeholder: "1500.00", pattern: "[0-9]+([.][0-9]+)?", hint: "a number such as 1500.00", mode: "decimal" },
  ], "Prepare the refill");
  const body = !sheet
    ? html`<p class="faint">Prepares the transfer from the Safe to the hot wallet. This service signs none of it: the Safe's owners do, and compare the hashes on their own devices.</p>`
    : sheet.failure
      ? html`<p class="banner bad" role="alert">${sheet.failure}</p>`
      : refill(sheet, asset);
  return section("Refill from the Safe", html`${form}${body}`, { id: "refill" });
}

function refill(sheet, asset) {
  const { file, owners, threshold, holds } = sheet;
  const json = JSON.stringify(file, null, 2);
  requestAnimationFrame(() => drawCode(document.getElementById("qr"), sheet.sheet.safeTxHash));
  return html`
    <div class="columns">
      <div>
        ${facts([...Object.entries(sheet.sheet).map(([name, value]) => [name.replace(/([A-Z])/g, " $1").toLowerCase(), /^0x/.test(value) ? html`<code>${value}</code> ${copyButton(value)}` : Array.isArray(value) || typeof value === "object" ? JSON.stringify(value) : String(value)]), ["The Safe holds", amount(holds, asset)], [`Signers, ${threshold} of ${owners.length}`, html`${owners.map((owner) => html`<div><code>${owner}</code></div>`)}`]], "long")}
      </div>
      <div><p class="faint">The hash that the owners' devices must show, to scan:</p><svg id="qr" class="qr" role="img" aria-label="QR code of the hash that the owners sign" viewBox="0 0 1 1"></svg></div>
    </div>
    <h3>For the Safe's transaction builder</h3>
    <pre tabindex="0" aria-label="The Safe's JSON">${json}</pre>
    <button type="button" @click=${(event) => download(event, `refill-${asset}.json`, "application/json", async () => json)}>Save the Safe's JSON</button>`;
}

const copyButton = (text) => html`<button type="button" class="copy" data-copy=${text} aria-label=${`Copy ${text}`}><svg viewBox="0 0 16 16" class="icon" aria-hidden="true"><path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z"></path></svg></button>`;

/** Draw a QR code as the squares of one path; no markup is written. */
export async function drawCode(svg, text) {
  if (!svg || !text || svg.dataset.text === text) return;
  svg.dataset.text = text;
  const { encode } = await import("../vendor/uqr.js");
  const { data, size } = encode(text, { ecc: "M", border: 0 });
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join(""));
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.replaceChildren(path);
}

export function view(data, page) {
  const { list, plan, filter } = data;
  return html`
    ${data.one ? one(data.one, page) : nothing}
    ${section(
      "What a sweep would move now",
      table({
        name: "plan", caption: "What a sweep of the excess would be now", rows: plan, none: "This deployment has no cold wallet, so nothing can be swept.",
        columns: [
          { title: "Asset", value: (row) => row.asset, cell: (row) => html`<strong>${row.asset}</strong>` },
          { title: "Excess", kind: "number", value: (row) => row.amount, cell: (row) => amount(row.amount, row.asset) },
          { title: "To", value: (row) => row.to, cell: (row) => hex(row.to, "address") },
          { title: "Or why not", kind: "wide", value: (row) => row.detail ?? row.reason, cell: (row) => row.detail ?? words(row.reason) },
          { title: "Needs", value: (row) => row.approvalNeeded, cell: (row) => (row.approvalNeeded ? "another person's approval" : "") },
          ...(page.can("operator") ? [{ title: "", kind: "act", value: () => "", cell: (row) => button(`Propose a sweep of ${row.asset}…`, () => propose(row, page)) }] : []),
        ],
      }),
      { actions: page.can("operator") ? button("Panic: empty the hot wallet…", () => panic(page), { kind: "danger" }) : nothing },
    )}
    ${section(
      "Sweeps",
      html`${filters(page, [
          { name: "status", label: "Status", kind: "select", options: choices(...STATUSES) },
          { name: "from", label: "From", kind: "time" },
          { name: "to", label: "To", kind: "time" },
        ])}
        ${table({
          name: "sweeps", caption: "Sweeps", rows: list.data, none: "No sweep matches.", all: { path: PATH, query: filter }, key: (row) => row.id, selected: data.one?.id,
          more: list.nextCursor ? () => page.more("sweeps") : null,
          columns: [
            { title: "Sweep", value: (row) => row.id, cell: (row) => link(`${row.id.slice(0, 12)}…`, "sweeps", { ...page.query, id: row.id }) },
            { title: "Kind", value: (row) => row.kind },
            { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
            { title: "Amount", kind: "number", value: (row) => row.amount, cell: (row) => amount(row.amount, row.asset) },
            { title: "Why", value: (row) => row.reason, cell: (row) => words(row.reason) },
            { title: "To", value: (row) => row.to, cell: (row) => hex(row.to, "address") },
            { title: "Created", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => actions(row, page) },
          ],
        })}`,
    )}
    ${refillCard(data, page)}`;
}
