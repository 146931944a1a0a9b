// Nodes: what each one says about the chain, and both answers where one contradicts the others.

import { get } from "../api.js";
import { words } from "../format.js";
import { html, nothing, section, table, time } from "../ui.js";

export const load = () => get("/nodes");

const TONES = { alive: "good", lagging: "warn", "set aside": "bad", "cooling down": "warn", unreachable: "bad", "wrong chain": "bad", "out of budget": "warn", untested: "off" };

function disagreement(node, item) {
  return html`<li class="approval">
    <p class="sentence"><strong>${node.name}</strong> answered <code>${item.method}</code> differently since ${time(item.since)}. Its answers do not count until it takes this back.</p>
    <div class="two-answers">
      <div><h3>${node.name} (${node.operator}) says</h3><pre tabindex="0" aria-label=${`Answer of ${node.name}`}>${item.answer}</pre></div>
      <div><h3>${item.agreedBy.join(", ")} say</h3><pre tabindex="0" aria-label="Answer of the others">${item.agreedAnswer}</pre></div>
    </div>
    <details><summary>Parameters</summary><pre tabindex="0" aria-label="Parameters of the call">${item.params}</pre></details>
  </li>`;
}

export function view({ data, agreedHead, agreement, providers, halted }) {
  const contradictions = data.flatMap((node) => node.disagreements.map((item) => disagreement(node, item)));
  const errors = (row) => Object.entries(row.errors).map(([kind, count]) => `${words(kind)} ${count}`).join(", ");
  return html`
    ${halted ? html`<div class="banner bad" role="alert"><strong>The chain counts as halted.</strong> ${halted}</div>` : nothing}
    ${contradictions.length ? section(contradictions.length === 1 ? "A node contradicts the others" : `${contradictions.length} contradictions`, html`<ul>${contradictions}</ul>`) : nothing}
    ${section(
      "Nodes of this process",
      html`<p>${agreedHead === null ? html`<strong>Too few providers report a block.</strong>` : html`Newest agreed block <strong>${agreedHead}</strong>.`} ${agreement} of ${providers} providers must agree.</p>
        ${table({
          name: "nodes", caption: "Nodes", rows: data, none: "No node is configured.",
          columns: [
            { title: "Node", value: (row) => row.name, cell: (row) => html`<strong>${row.name}</strong> <span class="faint">${row.kind}</span>` },
            { title: "Run by", value: (row) => row.operator },
            { title: "State", value: (row) => row.health, cell: (row) => html`<span class=${`badge ${TONES[row.health] ?? "calm"}`}>${row.health}</span>` },
            { title: "Head", kind: "number", value: (row) => row.head },
            { title: "Behind", kind: "number", value: (row) => row.lag },
            { title: "p50 ms", kind: "number", value: (row) => row.p50Ms },
            { title: "p95 ms", kind: "number", value: (row) => row.p95Ms },
            { title: "Requests", kind: "number", value: (row) => row.requests },
            { title: "Errors", value: (row) => JSON.stringify(row.errors), cell: (row) => errors(row) || html`<span class="faint">none</span>` },
            { title: "Newest error", kind: "wide", value: (row) => row.lastError },
            { title: "Credits used", kind: "number", value: (row) => row.creditsUsed, cell: (row) => row.creditsUsed.toLocaleString("en") },
            { title: "Credits left", kind: "number", value: (row) => row.creditsLeft, cell: (row) => (row.creditsLeft === null ? "" : row.creditsLeft.toLocaleString("en")) },
            { title: "Has blocks from", kind: "number", value: (row) => row.holdsFrom },
          ],
        })}`,
    )}`;
}

