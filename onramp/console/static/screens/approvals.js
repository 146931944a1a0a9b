// Approvals: everything that waits for a person, with who proposed it and until when.

import { get, optional } from "../api.js";
import { words } from "../format.js";
import { button, empty, hex, html, nothing, section, table, time } from "../ui.js";

export async function load() {
  const [waiting, passkeys] = await Promise.all([get("/treasury/approvals"), optional(get("/passkeys"))]);
  return { ...waiting, passkeys: passkeys?.data ?? [] };
}

/** What decides each kind, and what refuses it: {path, label, body, fields}. */
const DECISIONS = {
  "payout.approve": { approve: at("/treasury/payouts", "approve"), reject: at("/treasury/payouts", "reject", "payout.reject"), screen: "queue" },
  "payout.retry": { approve: at("/treasury/payouts", "retry"), screen: "queue" },
  "sweep.approve": { approve: at("/treasury/sweeps", "approve"), reject: at("/treasury/sweeps", "reject", "sweep.reject"), screen: "sweeps" },
  "policy.approve": { approve: at("/treasury/policy", "approve"), reject: at("/treasury/policy", "reject", "policy.reject"), screen: "policy" },
  "key.confirm": { approve: at("/admin/keys", "confirm"), screen: "people" },
  "pause.resume": { approve: { path: () => "/treasury/resume", action: "pause.resume", subject: "pause", body: (row) => ({ scope: row.subject }) }, screen: "now" },
  "incident.answer": {
    approve: { path: () => "/treasury/answer", action: "incident.answer", body: (row) => ({ subject: row.subject }), fields: [{ name: "note", label: "Where it went (kept in the ledger and the audit log)", kind: "area", required: true }] },
    screen: "ledger",
  },
  "settlement.confirm": { screen: "ledger" },
  "settlement.reverse": { screen: "ledger" },
};
const TITLES = {
  "payout.approve": "Approve this payout", "payout.retry": "Ask for another attempt", "sweep.approve": "Approve this sweep", "policy.approve": "Approve this policy",
  "key.confirm": "Confirm this key", "pause.resume": "Resume", "incident.answer": "Explain this", "settlement.confirm": "Confirm this settlement", "settlement.reverse": "Reverse this settlement",
};
const VERBS = { approve: "Approve", retry: "Ask for it too", confirm: "Confirm" };

function at(base, verb, action) {
  return { path: (row) => `${base}/${encodeURIComponent(row.subject)}/${verb}`, verb, action, fields: verb === "reject" ? [{ name: "note", label: "Why (kept in the history and the audit log)", kind: "area" }] : undefined };
}

function decide(row, decision, page, { refuse = false } = {}) {
  return page.run({
    title: refuse ? `Refuse: ${words(row.action)}` : (TITLES[row.action] ?? words(row.action)),
    sentence: refuse ? html`Refuses this: ${row.sentence}` : row.sentence,
    details: [["Subject", hex(row.subject)], ["Proposed by", row.proposedBy]],
    fields: decision.fields,
    button: refuse ? `Refuse this ${row.action.split(".")[0]}` : (TITLES[row.action] ?? "Approve this"),
    danger: refuse,
    method: "POST",
    path: decision.path(row),
    body: decision.body?.(row),
    action: decision.action ?? row.action,
    subject: decision.subject ?? row.subject,
  });
}

function waiting(row, page) {
  const { approve, reject, screen } = DECISIONS[row.action] ?? {};
  return html`<li class="approval" data-subject=${row.subject}>
    <p class="sentence">${row.sentence}</p>
    <p class="faint">${words(row.action)} · ${hex(row.subject, "id")} ${row.proposedBy ? html`· proposed by ${hex(row.proposedBy, "key id")}` : nothing} ${row.proposedAt ? html`· ${time(row.proposedAt)}` : nothing}
      ${row.expiresAt ? html`· until ${time(row.expiresAt)}` : nothing}</p>
    <div class="row">
      ${row.mayApprove && approve ? button(`${VERBS[approve.verb] ?? "Approve"}…`, () => decide(row, approve, page), { kind: "primary" }) : nothing}
      ${reject && page.can("approver") ? button("Refuse…", () => decide(row, reject, page, { refuse: true }), { kind: "danger" }) : nothing}
      ${row.why ? html`<span class="faint">${row.why}</span>` : nothing}
      ${screen ? html`<a href=${`/console/${screen}?id=${encodeURIComponent(row.subject)}`}>Look at it</a>` : nothing}
    </div>
  </li>`;
}

export function view({ data, passkeys }, page) {
  if (!data.length) return html`<section class="card">${empty("Nothing waits for a person.")}</section>`;
  return html`
    ${!passkeys.some((row) => row.person === page.session.person) && page.can("approver") ? html`<div class="banner calm">You have no passkey yet. <a href="/console/people">Enrol one</a>: it signs exactly what an approval shows.</div>` : nothing}
    ${section(data.length === 1 ? "One decision waits" : `${data.length} decisions wait`, html`<ul>${data.map((row) => waiting(row, page))}</ul>`)}
    <details class="card"><summary>As a table, to save</summary>${
      table({
        name: "approvals",
        caption: "What waits for a person",
        rows: data,
        columns: [
          { title: "Decision", value: (row) => row.action, cell: (row) => words(row.action) },
          { title: "Subject", value: (row) => row.subject, cell: (row) => hex(row.subject, "id") },
          { title: "Sentence", kind: "wide", value: (row) => row.sentence },
          { title: "Proposed by", value: (row) => row.proposedBy, cell: (row) => hex(row.proposedBy, "key id") },
          { title: "Proposed at", value: (row) => row.proposedAt, cell: (row) => time(row.proposedAt) },
          { title: "Until", value: (row) => row.expiresAt, cell: (row) => time(row.expiresAt) },
        ],
      })}</details>`;
}
