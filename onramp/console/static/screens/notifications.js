// Notifications: webhooks to dApps with their deliveries, notices to operators, and Stripe's events; what failed can be sent again.

import { call, get, pages } from "../api.js";
import { words } from "../format.js";
import { badge, button, choices, filters, hex, html, link, nothing, section, subject, table, time, toast } from "../ui.js";

const KINDS = [["events", "Stripe's events"], ["notices", "Notices to operators"], ["webhooks", "Webhooks to dApps"]];
const EVENT_STATES = ["pending", "handled", "ignored", "parked"];
const NOTICE_STATES = ["waiting", "sent", "given_up", "superseded"];
const DELIVERY_STATES = ["pending", "delivered", "failed"];

export const follows = ["delivery", "notice"];

export async function load(query, page) {
  const kind = KINDS.some(([name]) => name === query.view) ? query.view : "events";
  const { status, type, endpoint } = query;
  if (kind === "events") return { kind, list: await pages("/events", { status, type }, page.pages.list) };
  if (kind === "notices") return { kind, list: await pages("/notices", { status }, page.pages.list) };
  const endpoints = page.can("admin") ? await get("/admin/webhooks") : null;
  const chosen = endpoint || endpoints?.data[0]?.id;
  const list = chosen ? await pages(`/admin/webhooks/${encodeURIComponent(chosen)}/deliveries`, { status }, page.pages.list) : null;
  return { kind, endpoints, chosen, list };
}

const replay = (row, page) =>
  page.run({
    title: "Handle an event again",
    sentence: html`Reads Stripe's session of the event ${row.id} (${row.type}) and applies what Stripe says now. Nothing is paid twice.`,
    button: `Handle ${row.id} again`, method: "POST", path: `/events/${encodeURIComponent(row.id)}/replay`, bare: true, done: "It is handled again.",
  });

const redeliver = (row, page) =>
  page.run({
    title: "Send a message again",
    sentence: html`Sends the message ${row.messageId} (${row.type}) again, with the same id, so that a receiver can tell that it has it.`,
    button: `Send ${row.messageId} again`, method: "POST", path: `/admin/webhooks/deliveries/${encodeURIComponent(row.id)}/redeliver`, bare: true, done: "It is sent again.",
  });

const recover = (row, page) =>
  page.run({
    title: "Send what was missed",
    sentence: html`Sends everything that ${row.url} has not accepted since a time.`,
    fields: [{ name: "since", label: "Since (your local time)", kind: "time", required: true }],
    toBody: (values) => ({ since: values.since ? new Date(values.since).toISOString() : new Date().toISOString() }),
    button: "Send what was missed", method: "POST", path: `/admin/webhooks/${encodeURIComponent(row.id)}/recover`, done: "It is sent.",
  });

async function test(row, page) {
  try {
    await call("POST", `/admin/webhooks/${encodeURIComponent(row.id)}/test`);
    toast("A test message is on its way.");
    page.refresh();
  } catch {
    await page.run({ title: "Send a test message", sentence: html`Sends a test message to ${row.url}.`, button: "Send a test message", method: "POST", path: `/admin/webhooks/${encodeURIComponent(row.id)}/test`, bare: true });
  }
}

const toggle = (row, page) => {
  const status = row.status === "enabled" ? "disabled" : "enabled";
  return page.run({
    title: `${status === "enabled" ? "Enable" : "Disable"} an endpoint`,
    sentence: html`${status === "enabled" ? "Sends what waits, and what comes, to" : "Stops sending to"} ${row.url}. ${status === "disabled" ? "What waits is kept." : ""}`,
    body: { status }, danger: status === "disabled", button: `${status === "enabled" ? "Send to" : "Stop sending to"} ${row.url}`, method: "PATCH", path: `/admin/webhooks/${encodeURIComponent(row.id)}`,
  });
};

function events({ list }, page) {
  return section("Stripe's events", html`${filters(page, [
      { name: "status", label: "State", kind: "select", options: choices(...EVENT_STATES) },
      { name: "type", label: "Type", placeholder: "crypto.onramp_session.updated", max: 64 },
    ])}
    ${table({
      name: "events", caption: "Stripe's events, the newest first", rows: list.data, none: "No event matches.", all: { path: "/events", query: { status: page.query.status, type: page.query.type } }, more: list.nextCursor ? () => page.more("list") : null,
      key: (row) => row.id, selected: page.query.id,
      columns: [
        { title: "Event", value: (row) => row.id, cell: (row) => hex(row.id, "event") },
        { title: "Type", value: (row) => row.type },
        { title: "State", value: (row) => row.status, cell: (row) => badge(row.status) },
        { title: "Why", kind: "wide", value: (row) => row.reason },
        { title: "Tries", kind: "number", value: (row) => row.tries },
        { title: "Session at Stripe", value: (row) => row.stripeSessionId, cell: (row) => hex(row.stripeSessionId, "Stripe's id") },
        { title: "Received", value: (row) => row.receivedAt, cell: (row) => time(row.receivedAt) },
        { title: "", kind: "act", value: () => "", cell: (row) => (row.replayable && page.can("operator") ? button("Handle again…", () => replay(row, page)) : nothing) },
      ],
    })}`);
}

function notices({ list }, page) {
  return section("Notices to operators", html`${filters(page, [{ name: "status", label: "State", kind: "select", options: choices(...NOTICE_STATES) }])}
    ${table({
      name: "notices", caption: "Notices, the newest first", rows: list.data, none: "Nobody was notified. NOTICE_URLS names whom to notify.", all: { path: "/notices", query: { status: page.query.status } }, more: list.nextCursor ? () => page.more("list") : null,
      columns: [
        { title: "Created", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
        { title: "Severity", value: (row) => row.severity, cell: (row) => badge(row.severity) },
        { title: "What", kind: "wide", value: (row) => row.sentence, cell: (row) => html`${row.sentence} <span class="faint">${words(row.kind)}</span>` },
        { title: "To", value: (row) => row.target },
        { title: "State", value: (row) => row.status, cell: (row) => badge(row.status) },
        { title: "Attempts", kind: "number", value: (row) => row.attempts },
        { title: "Why it failed", value: (row) => row.error },
        { title: "Purchase", value: (row) => row.sessionId, cell: (row) => (row.sessionId ? link(`${row.sessionId.slice(0, 12)}…`, "purchase", { id: row.sessionId }) : "") },
      ],
    })}`);
}

function webhooks({ endpoints, chosen, list }, page) {
  if (!endpoints) return section("Webhooks to dApps", html`<p class="empty">Webhooks are shown to the role admin.</p>`);
  return html`${section("Endpoints", table({
      name: "webhooks", caption: "Endpoints of webhooks", rows: endpoints.data, none: "There is no endpoint. `onramp hooks create` makes one.", key: (row) => row.id, selected: chosen,
      columns: [
        { title: "Address", kind: "wide", value: (row) => row.url, cell: (row) => link(row.url, "notifications", { view: "webhooks", endpoint: row.id }) },
        { title: "Status", value: (row) => row.status, cell: (row) => html`${badge(row.status)} ${row.disabledReason ? words(row.disabledReason) : ""}` },
        { title: "Events", value: (row) => row.events.join(" "), cell: (row) => row.events.join(", ") },
        { title: "Failing since", value: (row) => row.failingSince, cell: (row) => time(row.failingSince) },
        { title: "Last success", value: (row) => row.lastSuccessAt, cell: (row) => time(row.lastSuccessAt) },
        { title: "", kind: "act", value: () => "", cell: (row) => html`${button("Test", () => test(row, page), { kind: "quiet" })}${button("Send what was missed…", () => recover(row, page), { kind: "quiet" })}${button(row.status === "enabled" ? "Disable…" : "Enable…", () => toggle(row, page))}` },
      ],
    }))}
    ${list
      ? section("Deliveries of the last 30 days", html`${filters(page, [{ name: "status", label: "State", kind: "select", options: choices(...DELIVERY_STATES) }])}
        ${table({
          name: "deliveries", caption: "Deliveries, the newest first", rows: list.data, none: "No delivery matches.", all: { path: `/admin/webhooks/${encodeURIComponent(chosen)}/deliveries`, query: { status: page.query.status } }, more: list.nextCursor ? () => page.more("list") : null,
          columns: [
            { title: "Message", value: (row) => row.messageId, cell: (row) => hex(row.messageId, "message id") },
            { title: "Type", value: (row) => row.type },
            { title: "About", value: (row) => row.subject, cell: (row) => subject(row.subject) },
            { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
            { title: "Attempts", value: (row) => row.attempts.length, cell: (row) => html`<details><summary>${row.attempts.length}</summary>${row.attempts.map((attempt) => html`<div>${time(attempt.at)} ${attempt.status ?? ""} ${words(attempt.outcome)} ${attempt.reason ?? ""} <span class="faint">${attempt.milliseconds} ms</span></div>`)}${row.response ? html`<pre tabindex="0" aria-label="Beginning of the newest answer">${row.response}</pre>` : nothing}</details>` },
            { title: "Next attempt", value: (row) => row.nextAttemptAt, cell: (row) => time(row.nextAttemptAt) },
            { title: "Created", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => button("Send again…", () => redeliver(row, page)) },
          ],
        })}`)
      : nothing}`;
}

const VIEWS = { events, notices, webhooks };

export function view(data, page) {
  return html`<div class="tabs" role="navigation" aria-label="Kind of notification">${KINDS.map(([name, title]) => html`<a href=${`/console/notifications?view=${name}`} aria-current=${name === data.kind ? "page" : nothing}>${title}</a>`)}</div>
    ${VIEWS[data.kind](data, page)}`;
}
