// The parts that all screens share. Values always become text: lit-html writes no string of the service as markup.

import { html, nothing } from "./vendor/lit-html.js";
import { everything } from "./api.js";
import { age, brief, csv, grouped, isLong, moment, shortened, words } from "./format.js";

export { html, nothing };
export const COPY = html`<svg viewBox="0 0 16 16" class="icon" aria-hidden="true"><path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z"></path></svg>`;

/** An amount with its asset; the whole number is the title where it was cut. */
export function amount(text, asset) {
  if (text === null || text === undefined) return html`<span class="faint">–</span>`;
  return html`<span class="amount" title=${`${grouped(text)} ${asset ?? ""}`}>${brief(text)}${asset ? html` <span class="unit">${asset}</span>` : nothing}</span>`;
}

/** A time: local, with UTC beside it. */
export function time(iso) {
  if (!iso) return html`<span class="faint">–</span>`;
  const { local, utc } = moment(iso);
  return html`<time datetime=${iso}><span>${local}</span> <span class="utc">${utc}</span></time>`;
}

/** How long ago, with the time as its title. */
export function since(iso) {
  const { local, utc } = moment(iso);
  return html`<time datetime=${iso} title=${`${local} · ${utc}`}>${age(iso)}</time>`;
}

/** An address, hash or id: shortened, whole at a click, and copied by the button beside it. */
export function hex(text, label = "value") {
  if (!text) return html`<span class="faint">–</span>`;
  if (!isLong(text)) return html`<span class="hex"><code>${text}</code></span>`;
  return html`<span class="hex"
    ><button type="button" class="reveal" aria-expanded="false" title=${text}><code class="short">${shortened(text)}</code><code class="whole">${text}</code></button
    ><button type="button" class="copy" data-copy=${text} aria-label=${`Copy ${label} ${text}`}>${COPY}</button
  ></span>`;
}

const TONES = {
  critical: "bad", warning: "warn", info: "calm",
  failed: "bad", reverted: "bad", rejected: "bad", expired: "off", cancelled: "off", revoked: "off", disabled: "off", withdrawn: "off", superseded: "off",
  held: "warn", awaiting_approval: "warn", attention: "bad", parked: "bad", gone: "bad", pending: "warn", proposed: "warn", open: "warn", suspended: "bad", given_up: "bad", waiting: "warn", lagging: "warn", reversal_awaiting_approval: "warn", reversed: "off", ended: "off",
  final: "good", completed: "good", confirmed: "good", active: "good", enabled: "good", delivered: "good", handled: "good", up: "good", ok: "good", settled: "good", accepted: "good", done: "good",
  loosens: "bad", tightens: "good", changes: "calm",
};

/** A status as a coloured word. The colour repeats what the word says. */
export const badge = (code) => (code ? html`<span class=${`badge ${TONES[code] ?? "calm"}`}>${words(code)}</span>` : nothing);

/** A link to a screen of the console. */
export function link(text, screen, query = {}) {
  const search = new URLSearchParams(query).toString();
  return html`<a href=${`/console/${screen}${search ? `?${search}` : ""}`}>${text}</a>`;
}

const SCREEN_OF = { ons: "purchase", pay: "queue", swp: "sweeps", txn: "ledger", pol: "policy", key: "people", evt: "notifications" };

/** An id: a link to the screen that shows what it names, where there is one. */
export function subject(id) {
  const screen = SCREEN_OF[/^([a-z]{3})_/.exec(id ?? "")?.[1]];
  return screen ? html`<code>${link(shortened(id), screen, { id })}</code>` : hex(id, "id");
}

/** A link out of the console: only to the web, in a new window that knows nothing of this one. Another scheme stays text. */
export function outside(url, text) {
  if (!/^https?:\/\//i.test(url ?? "")) return html`${text}`;
  return html`<a href=${url} target="_blank" rel="noopener noreferrer">${text}</a>`;
}

export const empty = (text) => html`<p class="empty">${text}</p>`;
export const button = (text, onclick, { kind = "", disabled = false, title = "" } = {}) =>
  html`<button type="button" class=${kind} ?disabled=${disabled} title=${title || nothing} @click=${onclick}>${text}</button>`;

/** A list of names and values. */
export function facts(pairs, kind = "") {
  return html`<dl class=${`facts ${kind}`}>${pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function section(title, body, { actions = nothing, id } = {}) {
  return html`<section class="card" id=${id ?? nothing}><header><h2>${title}</h2><div class="actions">${actions}</div></header>${body}</section>`;
}

/**
 * A table with its exports.
 *
 * columns: {title, cell(row), value(row), kind}; `all`: {path, query, rows} reads every row of the list for CSV and JSON, else the rows shown are exported, or `json` as JSON.
 */
export function table({ name, caption, columns, rows, none, all, more, key, selected, json }) {
  const read = async () => (all?.rows ? all.rows() : all?.path ? everything(all.path, all.query) : rows);
  const exports = rows.length
    ? html`<div class="exports">
        <button type="button" class="quiet" @click=${(event) => download(event, `${name}.csv`, "text/csv", async () => csv(columns, await read()))}>CSV<span class="unseen"> of ${caption}</span></button>
        <button type="button" class="quiet" @click=${(event) => download(event, `${name}.json`, "application/json", async () => JSON.stringify(json ?? (await read()), null, 2))}>JSON<span class="unseen"> of ${caption}</span></button>
      </div>`
    : nothing;
  if (!rows.length) return empty(none ?? "Nothing here.");
  return html`<div class="table" data-testid=${name}>
    <table role="table">
      <caption class="unseen">${caption}</caption>
      <thead role="rowgroup"><tr role="row">${columns.map((column) => html`<th scope="col" role="columnheader" class=${column.kind ?? ""}>${column.title || html`<span class="unseen">Actions</span>`}</th>`)}</tr></thead>
      <tbody role="rowgroup">${rows.map((row) => html`<tr role="row" class=${selected && key?.(row) === selected ? "selected" : ""} data-key=${key?.(row) ?? nothing}>${columns.map(
        (column) => html`<td role="cell" class=${column.kind ?? ""} data-label=${column.title}><div>${(column.cell ?? column.value)(row)}</div></td>`,
      )}</tr>`)}</tbody>
    </table>
    <div class="under">${more ? html`<button type="button" @click=${more}>Show more</button>` : nothing}${exports}</div>
  </div>`;
}

/** Give the browser a file to keep; the button says so while it is made. */
export async function download(event, name, type, make) {
  const pressed = event.currentTarget;
  pressed.disabled = true;
  try {
    const url = URL.createObjectURL(new Blob([await make()], { type }));
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.download = `onramp-${name}`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (problem) {
    toast(`${name} was not saved: ${problem.message}`);
  } finally {
    pressed.disabled = false;
  }
}

/** Filters of a list; they are in the URL. fields: {name, label, kind: select|text|time, options: [[value, text]]}. */
export function filters(page, fields, verb = "Filter") {
  const submit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget));
    for (const field of fields) if (field.kind === "time") values[field.name] = values[field.name] ? new Date(values[field.name]).toISOString() : "";
    page.set(values);
  };
  const changed = (event) => event.target.matches("select") && event.currentTarget.requestSubmit();
  const isSet = fields.some((field) => page.query[field.name]);
  return html`<form class="filters" @submit=${submit} @change=${changed}>
    ${fields.map((field) => html`<label>${field.label}${input(field, page.query[field.name] ?? "")}</label>`)}
    <button>${verb}</button>
    ${isSet ? html`<button type="button" class="quiet" @click=${() => page.set(Object.fromEntries(fields.map((field) => [field.name, ""])))}>Clear</button>` : nothing}
  </form>`;
}

export function input(field, value = "") {
  if (field.kind === "select") {
    return html`<select name=${field.name} ?required=${field.required}>${field.options.map(([code, text]) => html`<option value=${code} ?selected=${code === value}>${text}</option>`)}</select>`;
  }
  if (field.kind === "area") return html`<textarea name=${field.name} rows="3" maxlength=${field.max ?? 500} ?required=${field.required} .value=${value}></textarea>`;
  if (field.kind === "time") return html`<input type="datetime-local" name=${field.name} .value=${localInput(value)}>`;
  return html`<input type=${field.kind ?? "text"} name=${field.name} .value=${value} maxlength=${field.max ?? 200} placeholder=${field.placeholder ?? nothing} inputmode=${field.mode ?? nothing}
    pattern=${field.pattern ?? nothing} title=${field.hint ?? nothing} autocomplete=${field.autocomplete ?? "off"} spellcheck="false" ?required=${field.required}>`;
}

function localInput(iso) {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

export const choices = (...codes) => [["", "any"], ...codes.map((code) => [code, words(code)])];

/** Say something in the corner, and to screen readers. */
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => place.classList.remove("shown"), 6000);
}

/** One listener for all copy buttons and shortened values. */
export function listen() {
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest?.("[data-copy]");
    if (copy) {
      try {
        await navigator.clipboard.writeText(copy.dataset.copy);
        toast("Copied.");
      } catch {
        toast("The browser did not allow copying.");
      }
      return;
    }
    const reveal = event.target.closest?.(".reveal");
    if (reveal) reveal.setAttribute("aria-expanded", String(reveal.getAttribute("aria-expanded") !== "true"));
  });
}
