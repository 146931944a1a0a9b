// Audit: who changed what and when, and whether the log's hash chain is intact.

import { get, optional, pages } from "../api.js";
import { facts, filters, hex, html, nothing, section, subject, table, time } from "../ui.js";

const PATH = "/treasury/audit";

export const follows = ["audit"];

export async function load(query, page) {
  const [log, verification] = await Promise.all([pages(PATH, query, page.pages.audit), optional(get(`${PATH}/verification`))]);
  return { log, verification };
}

function proof(check) {
  if (!check) return nothing;
  const head = check.head ?? {};
  const broken = check.firstBroken ?? check.firstBrokenRow ?? check.broken;
  return html`<div class=${`banner ${check.ok ? "good" : "bad"}`} role=${check.ok ? "status" : "alert"} data-testid="verification">
      <strong>${check.ok ? `The hash chain of ${check.rows} rows is intact.` : "The hash chain is broken: a row was changed or removed."}</strong>
      ${broken ? html` The first broken row is ${typeof broken === "object" ? JSON.stringify(broken) : broken}.` : nothing}
    </div>
    ${facts([
      ["Head", hex(String(head.hash ?? check.hash ?? head), "hash")],
      ["Number of the head", head.number ?? check.number],
      ["Rows", String(check.rows)],
    ].filter(([, value]) => value !== undefined))}
    <p class="faint">Compare the head with the one you wrote down earlier, or that your log collector kept. <code>onramp audit verify</code> checks the same on the machine, and every signature of an approval.</p>`;
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
