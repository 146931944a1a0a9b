/**
 * The checkout page: joins order, payment form, progress and proof of one purchase, which the client's store follows.
 *
 * The phases are named on <main>: loading, keyed, compose, pay, track, done. Which one shows follows from the store's snapshot; nothing
 * here moves a purchase forward by itself.
 */

import type { Purchase, PurchaseStore } from "../src/phases.js";
import { recordStore } from "../src/record.js";
import type { Proof } from "../src/schema.js";
import type { Session } from "../src/status.js";
import { createPurchase } from "../src/store.js";
import { Compose } from "./compose.js";
import { byId, isOfTheWeb, setText } from "./dom.js";
import type { History } from "./history.js";
import { type Later, loadLater } from "./loading.js";
import { hush, notify, showProblem, titleOf } from "./notice.js";
import { openPage, type Page, pathOf } from "./page.js";
import { keepPayment, showPayment } from "./payment.js";
import { showOrder } from "./quotes.js";
import { showSteps, type WithSession } from "./steps.js";

const SLOT = "onramp.purchase";
const AGAIN_MS = 3000;
const TRIES_BEFORE_RELOAD = 3;
const SETTLED = ["completed", "rejected", "expired"];

class Checkout {
  #page: Page;
  #purchase: PurchaseStore;
  #compose: Compose;
  #history: History | null = null;
  #id: string | null = null;
  #wasCreating = false;
  #proof: Proof | null = null;

  constructor(page: Page) {
    this.#page = page;
    this.#purchase = createPurchase({ onramp: page.onramp, slot: SLOT });
    this.#compose = new Compose(page, (body) => void this.#purchase.start(body));
    byId("login").addEventListener("click", () => void this.#openHistory());
    for (const id of ["restart", "cancel"]) byId(id).addEventListener("click", () => void this.#purchase.reset());
    keepPayment(page, this.#purchase);
    this.#purchase.subscribe(() => this.#show(this.#purchase.getSnapshot()));
  }

  /** Go on with the purchase of the link, else with the one that this browser has begun. */
  start(): void {
    const { id, isLinkBroken } = this.#page.parameters;
    if (isLinkBroken) return this.#showUnknownLink();
    const stored = recordStore(undefined, SLOT);
    // One that is over is found by its link; a visit without it is about another one.
    if (!id && stored.load()?.over) stored.save(null);
    this.#purchase.resume(id ?? undefined);
    if (this.#purchase.getSnapshot().phase === "compose") this.#show(this.#purchase.getSnapshot());
  }

  /** The purchase that this browser has begun stays where it is: the link may be about another one. */
  #showUnknownLink(): void {
    const { words } = this.#page;
    this.#show(this.#purchase.getSnapshot());
    notify(words.problem, words.link_unknown);
  }

  #show(now: Purchase): void {
    const wasCreating = this.#wasCreating;
    this.#wasCreating = now.phase === "creating";
    if ("session" in now) return this.#showSession(now);
    this.#compose.busy(now.phase === "creating");
    if (now.phase === "resuming") return this.#showResuming(now.live === "offline");
    this.#leaveSession();
    this.#phase(this.#page.config.sessionCreation === "keyed" ? "keyed" : "compose");
    const { words } = this.#page;
    if (now.phase === "creating" && now.problem) {
      notify(titleOf(this.#page, now.problem), words.creating_again, { tone: "warn", about: "create" });
    } else if (now.phase === "failed" && !wasCreating && now.problem.code === "not_found") {
      notify(words.problem, words.link_unknown);
    } else if (now.phase === "failed") {
      showProblem(this.#page, now.problem, wasCreating ? "create" : "link");
    } else if (now.phase === "creating") {
      hush();
    }
  }

  #showResuming(isOffline: boolean): void {
    const { words } = this.#page;
    this.#phase("loading");
    if (isOffline) notify(words.problem_offline, `${words.resuming} ${words.offline}`, { tone: "warn", about: "link" });
  }

  #showSession(now: WithSession): void {
    const { words, config } = this.#page;
    const { session } = now;
    if (this.#id !== session.id) this.#enter(now);
    this.#phase(now.phase === "ended" ? "track" : now.phase);
    showSteps(this.#page, now);
    showOrder(this.#page, session);
    if (now.phase === "pay") showPayment(now);
    if (now.phase === "done" && now.proof) void this.#prove(session, now.proof);
    byId("restart").hidden = now.phase === "pay" || !now.mayStartOver || config.sessionCreation === "keyed";
    this.#showWays(now);
    if (now.live === "offline") notify(words.problem_offline, words.offline, { tone: "warn", about: "link" });
    else hush("link");
  }

  /**
   * Load the scripts that a purchase needs once it has begun, and retry until they are loaded. If a newer release of the service has removed
   * this page's files, reload the page once, but never while a card is being entered.
   */
  async #later(): Promise<Later> {
    for (let tries = 1; ; tries += 1) {
      const later = await loadLater().catch(() => null);
      if (later) return later;
      await this.#page.onramp.wait(AGAIN_MS);
      const [visit] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
      if (tries >= TRIES_BEFORE_RELOAD && byId("main").dataset["phase"] !== "pay" && visit?.type !== "reload") location.reload();
    }
  }

  async #prove(session: Session, proof: Proof): Promise<void> {
    if (proof === this.#proof) return;
    this.#proof = proof;
    const later = await this.#later();
    if (proof === this.#proof) later.showProof(this.#page, session, proof, this.#compose.recipient.provider);
  }

  /** Few buyers look at what they have bought before, so this part is loaded when it is asked for. */
  async #openHistory(): Promise<void> {
    try {
      const { History } = await loadLater();
      this.#history ??= new History(this.#page, this.#compose.recipient);
      this.#history.open();
    } catch {
      setText(byId("history-note"), this.#page.words.unreachable);
    }
  }

  /** Show where the buyer can go from here: to support, and back to the shop once nothing more is expected. */
  #showWays({ session }: WithSession): void {
    const { config, say } = this.#page;
    const support = byId<HTMLAnchorElement>("support");
    support.hidden = !config.supportEmail || ["completed", "awaiting_payment"].includes(session.status);
    support.href = `mailto:${config.supportEmail}?subject=${encodeURIComponent(`Purchase ${session.id}`)}`;
    const back = byId<HTMLAnchorElement>("back");
    const url = SETTLED.includes(session.status) ? session.returnUrl : null;
    back.hidden = !url || !isOfTheWeb(url);
    if (!url || back.hidden) return;
    back.href = url;
    setText(back, say("back", { shop: config.merchantName ?? new URL(url).host }));
  }

  #enter({ session }: WithSession): void {
    const { parameters } = this.#page;
    this.#id = session.id;
    hush();
    this.#compose.restore(session);
    setText(byId("purchase-id"), session.id);
    void this.#later().then(({ showIdentity }) => this.#id === session.id && showIdentity(this.#page, session.id));
    // Replaced, not added: the back button leads to where the buyer came from, and a reload stays with the purchase.
    history.replaceState(null, "", pathOf(session.id, parameters));
    const language = session.locale?.split("-")[0];
    if (language && !parameters.locale && language !== document.documentElement.lang.split("-")[0]) {
      location.replace(pathOf(session.id, { ...parameters, locale: session.locale }));
    }
  }

  #leaveSession(): void {
    if (this.#id === null) return;
    this.#id = this.#proof = null;
    delete byId("proof").dataset["ready"];
    hush();
    history.replaceState(null, "", pathOf(null, this.#page.parameters));
    this.#compose.enter();
  }

  /** Change the phase; a reader of the page lands on the new heading, except at the very beginning. */
  #phase(name: string): void {
    const main = byId("main");
    const before = main.dataset["phase"];
    if (before === name) return;
    main.dataset["phase"] = name;
    if (before === "loading" || name === "loading") return;
    byId(name === "compose" ? "title" : "status-title").focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}

function dress({ config, say }: Page): void {
  const { merchantName, supportEmail, chainName } = config;
  if (merchantName) document.title = `${say("title")} · ${merchantName}`;
  setText(byId("merchant"), merchantName ?? say("checkout"));
  setText(byId("assurance"), say("assurance", { merchant: merchantName ?? say("merchant") }));
  for (const id of ["network", "summary-network"]) setText(byId(id), chainName);
  byId("help").hidden = !supportEmail;
  byId<HTMLAnchorElement>("help").href = `mailto:${supportEmail}`;
}

const page = await openPage();
dress(page);
new Checkout(page).start();
