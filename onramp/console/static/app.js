// The console: who is logged in, which screen the address names, and when it is read again.

import { render } from "./vendor/lit-html.js";
import { call, get, person, Problem } from "./api.js";
import { Live } from "./live.js";
import { shell, titleOf } from "./shell.js";
import { listen, toast } from "./ui.js";
import * as now from "./screens/now.js";

const IDLE_MS = 30 * 60_000;
const REFRESH_MS = 250;
const QUIET = new Set(["balance", "audit", "delivery", "notice"]);
const root = document.getElementById("app");
const modules = { now };
const state = {
  session: null, config: null, note: "", menu: false,
  screen: "", query: {}, pages: {}, module: null, data: null, error: null, turn: 0,
  readAt: null, lostAt: null, failedAt: null, staleSince: null, staleWhy: "",
};

const RANK = { viewer: ["viewer"], operator: ["viewer", "operator"], approver: ["viewer", "operator", "approver"], admin: ["viewer", "admin"] };

/** What a screen gets: its query, who looks at it, and what it may ask for. */
const page = {
  get query() { return state.query; },
  get pages() { return state.pages; },
  get session() { return state.session; },
  can: (role) => RANK[state.session?.role]?.includes(role) ?? false,
  set(changes, { replace = false } = {}) {
    const query = { ...state.query, ...changes };
    go(`/console/${state.screen}${search(query)}`, { replace });
  },
  more(name) {
    state.pages[name] = (state.pages[name] ?? 1) + 1;
    read();
  },
  refresh: () => read(),
  paint,
  async run(command) {
    const { run } = await import("./command.js");
    const answer = await run(command, page);
    if (answer !== undefined) read();
    return answer;
  },
  async reloadSession() {
    state.session = await get("/console/sessions/current");
    paint();
  },
};

function search(query) {
  const pairs = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

function paint() {
  root.querySelector(".boot")?.remove();
  if (!state.session) {
    document.title = "Log in · Onramp console";
    if (!modules.login) return;
    render(modules.login.view(state, { done: begin, paint }), root);
    return;
  }
  document.title = `${titleOf(state.screen)} · Onramp console`;
  render(shell(state, page, { logOut, toggleMenu }), root);
}

/** Read the current screen. What was read before stays while the service is away. */
async function read() {
  const turn = (state.turn += 1);
  const { screen } = state;
  const early = screen === "now" ? first : null;
  first = null;
  try {
    modules[screen] ??= await import(`./screens/${screen}.js`).catch(newerVersion);
    const data = await (early ?? modules[screen].load(state.query, page));
    if (turn !== state.turn || !state.session) return;
    Object.assign(state, { module: modules[screen], data, error: null, failedAt: null, readAt: new Date() });
  } catch (problem) {
    if (turn !== state.turn || !state.session) return;
    if (!(problem instanceof Problem)) console.error(problem);
    state.error = problem;
    if (problem.status === 0 || problem.status >= 500) state.failedAt ??= state.readAt ?? new Date();
    else Object.assign(state, { data: null, failedAt: null, module: modules[screen] });
  }
  freshness();
}

/** A module that is gone belongs to a version that is no longer served: load the page again where there is another one. */
async function newerVersion(failure) {
  const response = await fetch("/console", { cache: "no-store" }).catch(() => null);
  if (!response) throw new Problem(0, "unreachable", "The service does not answer.");
  const tree = new URL(import.meta.url).pathname.split("/")[2];
  if (response.ok && !(await response.text()).includes(`/console/${tree}/`)) location.reload();
  throw new Problem(503, "module", `A part of the console could not be loaded: ${failure.message}`);
}

function freshness() {
  const times = [state.lostAt, state.failedAt].filter(Boolean);
  state.staleSince = times.length ? new Date(Math.min(...times)) : null;
  state.staleWhy = state.failedAt ? (state.error?.message ?? "") : "The connection for live changes is lost.";
  paint();
}

function route() {
  const [, , name = ""] = location.pathname.split("/");
  const screen = name || "now";
  const isNew = screen !== state.screen;
  const isFirst = !state.screen;
  Object.assign(state, { screen, query: Object.fromEntries(new URLSearchParams(location.search)), menu: false });
  if (isNew) Object.assign(state, { pages: {}, data: null, error: null, module: modules[screen] ?? null });
  paint();
  if (titleOf(screen) !== "Not found") read();
  // A screen reader hears the new screen; the first one begins at the top.
  if (isNew && !isFirst) document.getElementById("main")?.focus({ preventScroll: true });
}

function go(url, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", url);
  route();
}

/** What the first screen shows, asked for while it is not yet known who asks. */
let first = null;
let due = null;
/** Read again what changed. Balances change with each block, so only screens that follow them do; every screen is read at intervals anyway. */
function changed(kind) {
  if (QUIET.has(kind) && !state.module?.follows?.includes(kind)) return;
  clearTimeout(due);
  due = setTimeout(read, REFRESH_MS);
}

const live = new Live({
  changed,
  poll: () => document.visibilityState === "visible" && read(),
  state(lostAt) {
    state.lostAt = lostAt;
    freshness();
  },
});

function begin(session) {
  Object.assign(state, { session, note: "", lostAt: null, failedAt: null, staleSince: null });
  if (location.pathname.startsWith("/console/oidc")) history.replaceState(null, "", "/console");
  live.start();
  state.screen = "";
  route();
}

const readConfig = () => get("/console/config").catch(() => ({ login: { key: true, oidc: null } }));

async function end(note) {
  live.stop();
  document.getElementById("dialog").close();
  Object.assign(state, { session: null, data: null, error: null, note });
  const [login, config] = await Promise.all([import("./login.js"), state.config ?? readConfig()]);
  modules.login = login;
  state.config = config;
  paint();
}

async function logOut() {
  try {
    await call("DELETE", "/console/sessions/current");
    await end("You are logged out.");
  } catch (problem) {
    toast(`You are still logged in: ${problem.message}`);
  }
}

function toggleMenu() {
  state.menu = !state.menu;
  paint();
}

for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => (person.activeAt = Date.now()), { passive: true });
setInterval(() => state.session && Date.now() - person.activeAt > IDLE_MS && logOut().then(() => (state.note = "You were logged out after 30 minutes without activity.")).then(paint), 30_000);
addEventListener("popstate", route);
addEventListener("onramp:signed-out", () => state.session && end("Your session has ended. Log in again; nothing was sent twice."));
document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(anchor.href, location.href);
  if (url.origin !== location.origin || !/^\/console(\/[a-z]*)?$/.test(url.pathname) || url.hash || anchor.target) return;
  event.preventDefault();
  go(url.pathname + url.search);
});
addEventListener("keydown", (event) => event.key === "Escape" && state.menu && toggleMenu());
listen();

// Asked for together: a round trip of a slow network is what the first load takes longest for.
if (/^\/console\/?$/.test(location.pathname)) first = get("/overview");
first?.catch(() => (first = null));
const asked = readConfig().then((config) => (state.config = config));
try {
  begin(await get("/console/sessions/current"));
} catch (problem) {
  await asked;
  await end(problem.status === 401 ? "" : problem.message);
}
