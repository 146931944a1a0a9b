// Now: what is wrong, in sentences, each with its next action; what is paused; how the parts are.

import { get } from "../api.js";
import { COPY, badge, button, facts, hex, html, link, nothing, section, since, table, time } from "../ui.js";

export const load = () => get("/overview");

const RANK = { critical: 0, warning: 1, info: 2 };
const SCOPES = ["all", "payouts", "sales", "sweeps"];
const STOPS = { all: "sales, payouts and sweeps", payouts: "payouts, and with them sales", sales: "sales", sweeps: "sweeps" };

/** A next step leads to one of the console's own screens; another text is no link. */
function screenLink(next) {
  const match = /^([a-z]+)(?:\?(.*))?$/.exec(next?.screen ?? "");
  return match ? link(next.sentence || "Open", match[1], Object.fromEntries(new URLSearchParams(match[2] ?? ""))) : next?.sentence;
}

function problem(item, page) {
  return html`<li class=${`problem ${item.severity}`} data-name=${item.name}>
    <div class="line">${badge(item.severity)} <span class="faint">${item.since ? html`for ${since(item.since)}` : nothing}</span></div>
    <p class="sentence">${item.sentence}</p>
    ${item.next ? html`<p class="next"><span class="arrow" aria-hidden="true">→</span> ${screenLink(item.next)}</p>` : nothing}
    ${item.next?.command ? html`<p class="command"><code>${item.next.command}</code><button type="button" class="copy" data-copy=${item.next.command} aria-label="Copy the command">${COPY}</button></p>` : nothing}
    ${item.alarmId && !item.acknowledgedBy && page.can("operator") ? button("Acknowledge this alarm", () => acknowledge(item, page), { kind: "quiet" }) : nothing}
    ${item.acknowledgedBy ? html`<p class="faint">Acknowledged by ${hex(item.acknowledgedBy, "key id")}</p>` : nothing}
  </li>`;
}

const acknowledge = (alarm, page) =>
  page.run({
    title: "Acknowledge an alarm",
    sentence: html`You have seen: “${alarm.sentence}” An event ends with that; a condition stays until it is over, and is not reminded of.`,
    button: "Acknowledge",
    method: "POST",
    path: `/alarms/${encodeURIComponent(alarm.alarmId)}/acknowledge`,
    bare: true,
  });

const pause = (page) =>
  page.run({
    title: "Stop now",
    sentence: "Stops at once, without a second person. To resume takes an approver who is another person.",
    fields: [
      { name: "scope", label: "What to stop", kind: "select", options: SCOPES.map((scope) => [scope, `${scope}: stops ${STOPS[scope]}`]) },
      { name: "note", label: "Why (kept in the audit log)", kind: "area" },
    ],
    button: (values) => `Stop ${STOPS[values.scope]}`,
    danger: true,
    withoutCode: true,
    method: "POST",
    path: "/treasury/pause",
  });

const resume = (scope, page) =>
  page.run({
    title: `Resume ${scope}`,
    sentence: html`Resumes ${STOPS[scope] ?? scope}: money moves again.`,
    button: `Resume ${STOPS[scope] ?? scope}`,
    method: "POST",
    path: "/treasury/resume",
    body: { scope },
    action: "pause.resume",
    subject: "pause",
  });

export function view(data, page) {
  const problems = [...data.problems].sort((one, other) => (RANK[one.severity] ?? 3) - (RANK[other.severity] ?? 3));
  return html`
    ${problems.length
      ? section(problems.length === 1 ? "One thing needs you" : `${problems.length} things need you`, html`<ul class="problems">${problems.map((item) => problem(item, page))}</ul>`)
      : html`<div class="banner good" data-testid="calm"><strong>Nothing is wrong.</strong> Read at ${time(data.at)}.</div>`}
    ${section(
      "Pauses",
      data.pauses.length
        ? table({
            name: "pauses",
            caption: "What is paused",
            rows: data.pauses,
            columns: [
              { title: "Stopped", value: (row) => row.scope, cell: (row) => html`<strong>${STOPS[row.scope] ?? row.scope}</strong>` },
              { title: "By", value: (row) => row.by, cell: (row) => hex(row.by, "key id") },
              { title: "Since", value: (row) => row.at, cell: (row) => time(row.at) },
              { title: "Why", value: (row) => row.note, kind: "wide" },
              ...(page.can("approver") ? [{ title: "", kind: "act", value: () => "", cell: (row) => button(`Resume ${row.scope}`, () => resume(row.scope, page)) }] : []),
            ],
          })
        : html`<p class="empty">Nothing is paused.</p>`,
      { actions: page.can("operator") ? button("Stop something now…", () => pause(page), { kind: "danger" }) : nothing },
    )}
    ${section("Parts", html`<ul class="parts">${data.parts.map((part) => html`<li class=${part.ok ? "up" : "down"}><span class="dot" aria-hidden="true"></span><strong>${part.name}</strong> <span>${part.ok ? "" : "down: "}${part.detail}</span></li>`)}</ul>`)}
    ${section(
      "Chain and leader",
      facts([
        ["Newest agreed block", data.head ? html`${data.head.blockNumber} <span class="faint">${data.head.providers} providers answer, ${data.head.agreement} must agree</span>` : "unknown: too few providers report a block"],
        ["Leader", data.leader ? (data.leader.owner ? hex(data.leader.owner, "process") : "nobody pays") : "this deployment pays from no wallet"],
        ["Its lease", data.leader?.owner ? html`${data.leader.leads ? "valid until" : "ended at"} ${time(data.leader.leaseUntil)}` : null],
      ]),
    )}
    <p class="faint">Read at ${time(data.at)}</p>`;
}
