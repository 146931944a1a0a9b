// What stands around every screen: navigation, who is logged in, and what is out of date.

import { html, nothing, time } from "./ui.js";

export const SCREENS = [
  ["now", "Now", "What is wrong, and what to do next"],
  ["queue", "Queue", "Payouts that wait, and why"],
  ["approvals", "Approvals", "What waits for a person"],
  ["purchase", "Purchases", "Search, and the whole timeline of one"],
  ["balances", "Balances", "The hot wallet over time"],
  ["sweeps", "Sweeps", "Transfers to the cold wallet, and refills"],
  ["ledger", "Ledger", "Where every coin is"],
  ["policy", "Policy", "The terms, and what would change"],
  ["nodes", "Nodes", "The chain as each node tells it"],
  ["audit", "Audit", "Who changed what"],
  ["people", "People", "Keys, invitations, passkeys, sessions"],
  ["notifications", "Notifications", "Webhooks, notices, Stripe's events"],
];
const TITLES = Object.fromEntries(SCREENS.map(([name, title, about]) => [name, { title, about }]));
const ROLES = { viewer: "may read", operator: "may propose", approver: "may approve", admin: "manages keys" };

export const titleOf = (screen) => TITLES[screen]?.title ?? "Not found";

function staleBanner(state) {
  if (!state.staleSince) return nothing;
  const since = time(state.staleSince.toISOString());
  return html`<div class="banner warn" role="alert" data-testid="stale"><strong>Stale since ${since}.</strong> ${state.staleWhy} What you see may have changed; trying again.</div>`;
}

function content(state, page) {
  if (!TITLES[state.screen]) return html`<p class="empty">There is no screen of this name.</p>`;
  if (state.error && !state.data) {
    return html`<div class="banner bad" role="alert"><strong>This screen could not be read.</strong> ${state.error.message}</div>
      <button type="button" @click=${() => page.refresh()}>Try again</button>`;
  }
  if (!state.data || !state.module) return html`<p class="empty" aria-busy="true">Reading…</p>`;
  return state.module.view(state.data, page);
}

export function shell(state, page, actions) {
  const { session, screen } = state;
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <a class="brand" href="/console">Onramp</a>
      <button type="button" class="menu" aria-expanded=${String(state.menu)} aria-controls="nav" @click=${actions.toggleMenu}>${titleOf(screen)} <span aria-hidden="true">▾</span></button>
      <div class="who">
        <a href="/console/people" title=${ROLES[session.role] ?? ""}>${session.person} <span class="role">${session.role}</span></a>
        <button type="button" class="quiet" data-testid="logout" @click=${actions.logOut}>Log out</button>
      </div>
    </header>
    <div class="frame">
      <nav id="nav" aria-label="Screens" class=${state.menu ? "open" : ""}>
        ${SCREENS.map(([name, title]) => html`<a href=${name === "now" ? "/console" : `/console/${name}`} aria-current=${name === screen ? "page" : nothing}>${title}</a>`)}
      </nav>
      <main id="main" tabindex="-1" data-screen=${screen} data-ready=${state.data ? "yes" : "no"}>
        <h1>${titleOf(screen)}<small>${TITLES[screen]?.about ?? ""}</small></h1>
        ${staleBanner(state)} ${content(state, page)}
      </main>
    </div>`;
}
