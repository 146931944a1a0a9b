// Balances: what the hot wallet holds against floor, target and ceiling, over time, and for how long it lasts.

import { get, optional } from "../api.js";
import { brief, moment } from "../format.js";
import { amount, facts, html, link, nothing, section, table, time } from "../ui.js";

const RANGES = { day: 1, week: 7, month: 30, year: 365 };
const DAY_MS = 86_400_000;

export const follows = ["balance"];

export async function load(query) {
  const { data, earlier } = await get("/treasury/balances");
  const asset = query.asset || data[0]?.asset || "MUSD";
  const days = RANGES[query.range] ?? RANGES.week;
  const from = new Date(Date.now() - days * DAY_MS).toISOString();
  const history = await optional(get("/treasury/balances/history", { asset, from }));
  return { data, earlier, asset, history, range: query.range in RANGES ? query.range : "week" };
}

const LINES = [["available", "Available"], ["held", "Held for payouts under way"], ["floor", "Floor"], ["target", "Target"], ["ceiling", "Ceiling"]];

/** The chart is as wide as the screen lets it be, and drawn again when that changes. */
const sized = new ResizeObserver(() => draw(document.getElementById("chart"), drawn));
let drawn = null;

/** Draw the chart once, then only give it new data. uPlot draws on a canvas and writes no markup. */
async function draw(place, history) {
  if (!history?.points?.length || !place) return;
  const wanted = JSON.stringify([history.asset, history.points.at(-1), history.points.length, place.clientWidth]);
  if (place.dataset.drawn === wanted) return;
  place.dataset.drawn = wanted;
  drawn = history;
  sized.observe(place);
  const [{ default: UPlot }] = await Promise.all([import("../vendor/uplot.js"), sheet()]);
  const points = drawable(history.points);
  const at = points.map((point) => Date.parse(point.at) / 1000);
  const level = (value) => points.map(() => (value === null || value === undefined ? null : Number(value)));
  const data = [at, points.map((point) => Number(point.available)), points.map((point) => Number(point.held)), level(history.floor), level(history.target), level(history.ceiling)];
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const line = dark ? "#3a404b" : "#dde1e7";
  const text = dark ? "#a4acb9" : "#565d69";
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, font: "12px system-ui, sans-serif" };
  const dashed = { dash: [6, 4], width: 1.5, points: { show: false } };
  place.replaceChildren();
  new UPlot(
    {
      width: place.clientWidth,
      height: Math.max(260, Math.min(380, place.clientWidth * 0.42)),
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), high * 1.08 || 1] } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => tickText(tick, at)).map((label, index, all) => (label === all[index - 1] ? "" : label)) }, { ...axis, size: 78, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
      series: [
        {},
        { stroke: "#2f6bff", width: 2.5, fill: dark ? "#2f6bff22" : "#2f6bff18", paths: UPlot.paths.stepped({ align: 1 }), points: { show: points.length < 2 } },
        { stroke: "#b25a00", width: 1.5, paths: UPlot.paths.stepped({ align: 1 }), points: { show: points.length < 2 } },
        { stroke: "#cc2222", ...dashed },
        { stroke: "#1a8a4a", ...dashed },
        { stroke: "#8a4bc2", ...dashed },
      ],
    },
    data,
    place,
  );
}

/** One point alone has no line: it is drawn until a minute later. */
function drawable(points) {
  const [only] = points;
  if (points.length > 1 || Number.isNaN(Date.parse(only.at))) return points;
  return [only, { ...only, at: new Date(Date.parse(only.at) + 60_000).toISOString() }];
}

function tickText(seconds, at) {
  const when = new Date(seconds * 1000);
  const span = at.at(-1) - at[0];
  return span < 2 * 86_400 ? when.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) : when.toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

/** uPlot's style sheet, loaded with it. */
function sheet() {
  const href = new URL("../vendor/uplot.css", import.meta.url).pathname;
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((loaded) => {
    const element = document.createElement("link");
    Object.assign(element, { rel: "stylesheet", href, onload: loaded, onerror: loaded });
    document.head.append(element);
  });
}

function runway(history) {
  if (!history) return nothing;
  if (history.runwayHours === null || history.runwayHours === undefined) return html`<p class="sentence">Nothing was spent in the last 24 hours, so the stock does not run out.</p>`;
  const hours = Number(history.runwayHours);
  if (!Number.isFinite(hours)) return nothing;
  // A date much later cannot be written at all, and is not shown.
  const until = hours > 720 ? null : moment(new Date(Date.now() + hours * 3_600_000).toISOString());
  const long = hours > 720 ? "more than a month" : hours < 48 ? `${Math.round(hours)} hours` : `${Math.round(hours / 24)} days`;
  const text = `The stock lasts ${long} at the pace of the last 24 hours${until === null ? "" : `, until ${until.local} (${until.utc})`}.`;
  return html`<p class=${hours < 24 ? "banner warn" : "sentence"} data-testid="runway"><strong>${text}</strong> ${hours < 24 ? link("Prepare a refill", "sweeps", { refill: history.asset }) : nothing}</p>`;
}

export function view({ data, earlier, asset, history, range }, page) {
  const now = data.find((row) => row.asset === asset);
  requestAnimationFrame(() => draw(document.getElementById("chart"), history && { floor: now?.floor, target: now?.target, ceiling: now?.ceiling, ...history }));
  const points = history?.points ?? [];
  const tabs = (name, items, current) => html`<div class="tabs" role="navigation" aria-label=${name}>${items.map(
    ([value, text]) => html`<a href=${`/console/balances?${new URLSearchParams({ ...page.query, [name.toLowerCase()]: value })}`} aria-current=${value === current ? "page" : nothing}>${text}</a>`,
  )}</div>`;
  return html`
    ${section(
      "Now",
      table({
        name: "balances", caption: "Balances", rows: data, none: "No balance is known yet.",
        columns: [
          { title: "Asset", value: (row) => row.asset, cell: (row) => html`<strong>${row.asset}</strong> ${row.floor !== null && Number(row.available) < Number(row.floor) ? html`<span class="badge bad">below the floor</span>` : nothing}${row.ceiling !== null && Number(row.available) > Number(row.ceiling) ? html`<span class="badge warn">above the ceiling</span>` : nothing}` },
          ...[["Available", "available"], ["Held", "held"], ["On chain", "onChain"], ["Floor", "floor"], ["Target", "target"], ["Ceiling", "ceiling"]].map(([title, name]) => ({ title, kind: "number", value: (row) => row[name], cell: (row) => amount(row[name]) })),
          { title: "Block", kind: "number", value: (row) => row.blockNumber },
        ],
      }),
      { actions: html`${link("Sweeps and refills", "sweeps")}` },
    )}
    ${section(
      `${asset} over time`,
      html`${data.length > 1 ? tabs("Asset", data.map((row) => [row.asset, row.asset]), asset) : nothing}
        ${tabs("Range", Object.keys(RANGES).map((name) => [name, name]), range)}
        ${runway(history && { asset, ...history })}
        ${points.length
          ? html`<p class="legend">${LINES.filter(([name]) => name === "available" || name === "held" || (history[name] ?? now?.[name]) != null).map(([name, title]) => html`<span><span class=${`key ${name}`} aria-hidden="true"></span>${title}</span>`)}</p>
              <div id="chart" class="chart" role="img" aria-label=${`${asset}: ${points.length} points from ${brief(points[0].available)} to ${brief(points.at(-1).available)} available. The table below has the numbers.`}></div>
              <details><summary>The numbers</summary>${table({
                name: "history", caption: `Balance of ${asset} over time`, rows: points,
                columns: [
                  { title: "At", value: (row) => row.at, cell: (row) => time(row.at) },
                  { title: "Available", kind: "number", value: (row) => row.available, cell: (row) => amount(row.available) },
                  { title: "Held", kind: "number", value: (row) => row.held, cell: (row) => amount(row.held) },
                ],
              })}</details>`
          : html`<p class="empty">Nothing was posted to the ledger in this time.</p>`}`,
    )}
    ${earlier.length
      ? section("Earlier hot wallets", html`${earlier.map((row) => facts([["Wallet", row.wallet], ["Asset", row.asset], ["Available", amount(row.available)], ["Held", amount(row.held)], ["In flight", amount(row.inFlight)]]))}`)
      : nothing}`;
}
