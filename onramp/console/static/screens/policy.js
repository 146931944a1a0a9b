// Policy: the terms in force, what a proposed version would change in words, and all versions.

import { get } from "../api.js";
import { words } from "../format.js";
import { amount, badge, button, facts, hex, html, nothing, section, table, time } from "../ui.js";

export const load = () => get("/treasury/policy");

function decide(version, name, page) {
  const isRejection = name === "reject";
  return page.run({
    title: `${isRejection ? "Reject" : "Approve"} version ${version.version} of the policy`,
    sentence: html`${isRejection ? "Rejects" : "Approves"} version ${version.version}${version.loosens.length ? html`, which loosens ${version.loosens.map(words).join(", ")}` : nothing}.`,
    fields: isRejection ? [{ name: "note", label: "Why", kind: "area" }] : undefined,
    danger: isRejection,
    button: `${isRejection ? "Reject" : "Approve"} version ${version.version}`,
    method: "POST",
    path: `/treasury/policy/${encodeURIComponent(version.id)}/${name}`,
    action: `policy.${name}`,
    subject: version.id,
  });
}

const apply = (page) =>
  page.run({
    title: "Propose the policy of the file",
    sentence: "Proposes the terms in the service's file and environment. Terms that only tighten are active at once; looser ones need a second person, and time.",
    button: "Propose the policy of the file",
    method: "POST",
    path: "/treasury/policy/apply",
    action: "policy.apply",
    subject: "policy",
    bare: true,
  });

function differences(list) {
  if (!list?.length) return nothing;
  const order = { loosens: 0, changes: 1, tightens: 2 };
  const sorted = [...list].sort((one, other) => order[one.effect] - order[other.effect]);
  return html`<ul class="differences" data-testid="differences">${sorted.map(
    (item) => html`<li>${badge(item.effect)} <span>${item.sentence}</span> <span class="faint"><code>${item.field}</code> ${text(item.from)} → ${text(item.to)}</span></li>`,
  )}</ul>`;
}

const text = (value) => (value === null || value === undefined ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value));

function pending(version, list, page) {
  return section(
    `Version ${version.version} waits`,
    html`<p class="sentence">${version.loosens.length ? html`It loosens ${version.loosens.map(words).join(", ")}, so two persons and time are needed.` : "It only tightens."}
        ${version.appliesAt ? html` It may become active at ${time(version.appliesAt)}.` : nothing}</p>
      ${differences(list)}
      <p class="faint">Proposed by ${hex(version.proposedBy, "key id")} at ${time(version.createdAt)}${version.approvedBy ? html`, approved by ${hex(version.approvedBy, "key id")}` : nothing}</p>`,
    { actions: page.can("approver") ? html`${version.status === "proposed" ? button("Approve…", () => decide(version, "approve", page), { kind: "primary" }) : nothing}${button("Reject…", () => decide(version, "reject", page), { kind: "danger" })}` : nothing },
  );
}

function terms(version) {
  const { payouts, coldWallet } = version;
  return html`
    ${facts([
      ["A payout needs a person above", amount(payouts.approvalAbove, "MUSD")],
      ["Most for one payout", amount(payouts.maxPerTransaction, "MUSD")],
      ["Most in a day", amount(payouts.maxPerDay, "MUSD")],
      ["Payouts in one transaction", String(payouts.maxBatch)],
      ["Allowance of the contract", payouts.maxAllowance === "unlimited" ? "unlimited" : amount(payouts.maxAllowance, "MUSD")],
      ["An approval lapses after", `${version.approvalExpiresHours} h`],
      ["Sweeps are planned every", `${version.everyMinutes} min`],
      ["Highest fee", `${version.maxFeeGwei} gwei`],
      ["MUSD", hex(version.token, "token")],
      ["Approved by passkey", version.requirePasskey ?? version.approvals ? text(version.requirePasskey ?? version.approvals) : null],
    ])}
    <h3>Assets</h3>
    ${table({
      name: "assets", caption: "Limits of each asset", rows: version.assets,
      columns: [
        { title: "Asset", value: (row) => row.symbol, cell: (row) => html`<strong>${row.symbol}</strong>` },
        ...[["Floor", "floor"], ["Target", "target"], ["Ceiling", "ceiling"], ["Least swept", "min"], ["Approval above", "approvalAbove"], ["Most at once", "maxPerTransaction"], ["Most in a day", "maxPerDay"]].map(([title, name]) => ({ title, kind: "number", value: (row) => row[name], cell: (row) => amount(row[name]) })),
        { title: "Token", value: (row) => row.token, cell: (row) => hex(row.token, "token") },
      ],
    })}
    <h3>Cold wallet</h3>
    ${coldWallet
      ? facts([["Safe", hex(coldWallet.address, "address")], ["Signatures", `${coldWallet.threshold} of ${coldWallet.owners.length}`], ["Guard", coldWallet.guard ? hex(coldWallet.guard) : "none"], ["Owners", html`${coldWallet.owners.map((owner) => html`<div>${hex(owner, "owner")}</div>`)}`]])
      : html`<p class="empty">No cold wallet is pinned, so nothing is swept.</p>`}`;
}

export function view({ active, versions, pending: pendingId, differences: changes }, page) {
  const waiting = versions.find((version) => version.id === pendingId);
  return html`
    ${waiting ? pending(waiting, changes, page) : nothing}
    ${active ? section(`Version ${active.version} is active`, terms(active), { actions: page.can("approver") ? button("Propose the policy of the file…", () => apply(page)) : nothing }) : section("No policy is active", html`<p class="empty">Nothing is paid until a policy is active.</p>`)}
    ${section(
      "Versions",
      table({
        name: "versions", caption: "Versions of the policy", rows: versions, none: "There is no version yet.",
        columns: [
          { title: "Version", kind: "number", value: (row) => row.version },
          { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
          { title: "Loosens", kind: "wide", value: (row) => row.loosens.join(" "), cell: (row) => row.loosens.map(words).join(", ") || html`<span class="faint">nothing</span>` },
          { title: "Proposed by", value: (row) => row.proposedBy, cell: (row) => hex(row.proposedBy) },
          { title: "Approved by", value: (row) => row.approvedBy, cell: (row) => hex(row.approvedBy) },
          { title: "Created", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
        ],
      }),
    )}`;
}
