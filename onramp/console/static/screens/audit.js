// Audit: who changed what and when, and whether the log's hash chain is intact.

import { get, optional, pages } from "../api.js";
import { facts, filters, hex, html, nothing, section, subject, table, time } from "../ui.js";

const PATH = "/treasury/audit";

export const follows = ["audit"];

export async function load(query, page) {
  const [log, verification] = await Promise.all([pages(PATH, query, page.pages.audit), optional(get(`${PATH}/verification`))]);
  return { log, verification };
}

function proof({ ok, head, rows, unlinked, firstBroken, verifiedAt }) {
  return html`<div class=${`banner ${ok ? "good" : "bad"}`} role=${ok ? "status" : "alert"} data-testid="verification">
      <strong>${ok ? `The hash chain of ${rows} rows is intact.` : "The hash chain is broken: a row was changed, added or removed."}</strong>
      ${firstBroken ? html` First at number ${firstBroken.number}${firstBroken.entryId === null ? nothing : html` (row ${firstBroken.entryId})`}: ${firstBroken.reason}` : nothing}
    </div>
    ${facts([["Number of the head", String(head.number)], ["Hash of the head", hex(head.hash, "hash")], ["Rows that wait for their link", String(unlinked)], ["Verified", time(verifiedAt)]])}
    <p class="faint">Compare the head with one that you wrote down earlier, or that your log collector kept. <code>onramp audit verify</code> checks the same on the machine.</p>`;
}

function change(row) {
  if (!row.before && !row.after) return nothing;
  const names = [...new Set([...Object.keys(row.before ?? {}), ...Object.keys(row.after ?? {})])];
  const text = (value) => (value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
  return html`<details><summary>${names.length === 1 ? "1 field" : `${names.length} fields`}</summary>${facts(names.map((name) => [name, html`${row.before && name in row.before ? html`<code>${text(row.before[name])}</code> → ` : nothing}<code>${text(row.after?.[name])}</code>`]))}</details>`;
}

export function view({ log, verification }, page) {
  return html`
    ${verification ? section("Is it intact?", proof(verification)) : nothing}
    ${section(
      "Log",
      html`${filters(page, [
          { name: "actor", label: "By", placeholder: "key id or worker", max: 80 },
          { name: "subject", label: "About", placeholder: "id", max: 80 },
          { name: "action", label: "Action", placeholder: "sweep_approve", max: 80 },
          { name: "from", label: "From", kind: "time" },
          { name: "to", label: "To", kind: "time" },
        ])}
        ${table({
          name: "audit", caption: "Audit log, the newest first", rows: log.data, none: "No entry matches.", all: { path: PATH, query: page.query }, more: log.nextCursor ? () => page.more("audit") : null,
          columns: [
            { title: "At", value: (row) => row.at, cell: (row) => time(row.at) },
            { title: "By", value: (row) => row.actor, cell: (row) => hex(row.actor, "actor") },
            { title: "Action", value: (row) => row.action, cell: (row) => html`<strong>${row.action}</strong>` },
            { title: "About", value: (row) => row.subject, cell: (row) => subject(row.subject) },
            { title: "Change", kind: "wide", value: (row) => JSON.stringify({ before: row.before, after: row.after }), cell: change },
            { title: "Policy", kind: "number", value: (row) => row.policyVersion },
            { title: "Number", kind: "number", value: (row) => row.number },
            { title: "Hash", value: (row) => row.hash, cell: (row) => hex(row.hash, "hash") },
          ],
        })}`,
    )}`;
}
