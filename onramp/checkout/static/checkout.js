/**
 * The checkout page: joins form, estimate, payment form, progress and proof.
 *
 * The page has four phases, named on <main>: compose, pay, track, done. Which one shows follows from the session the
 * service reports; nothing here moves a purchase forward by itself.
 */

import { Api, Problem } from "./api.js";
import { readConfig } from "./config.js";
import { Compose } from "./compose.js";
import { byId, copyButton, setText } from "./dom.js";
import { Follower } from "./follow.js";
import { History } from "./history.js";
import { Login } from "./login.js";
import { hush, notify, showProblem } from "./notice.js";
import { PaymentPanel } from "./payment.js";
import { showProof } from "./proof.js";
import { openSession, PurchaseStore, replay } from "./purchase.js";
import { showSteps } from "./steps.js";
import { warmUp } from "./stripe.js";
import { showOrder } from "./summary.js";

const RESTARTABLE = new Set(["completed", "rejected", "expired"]);

function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return null;
  }
}

class Checkout {
  constructor(config) {
    this.config = config;
    this.api = new Api(config.apiBase);
    this.store = new PurchaseStore(tabStorage());
    this.login = new Login(this.api);
    this.compose = new Compose(config, this.api, this.login, (body) => this.begin(body));
    this.payment = new PaymentPanel(config, () => this.follower?.refresh());
    this.history = new History(this.api, this.login, this.compose.wallet);
    this.follower = null;
    this.provedAt = null;
    byId("restart").addEventListener("click", () => this.restart());
    byId("cancel").addEventListener("click", () => this.restart());
  }

  /** Goes on with the purchase of this tab, if there is one. */
  async start() {
    const record = this.store.record;
    if (!record) return this.phase("compose");
    this.compose.restore(record.body);
    this.phase("loading");
    try {
      const known = record.sessionId !== null;
      this.enter(known ? await this.api.session(record.sessionId) : await openSession(this.api, this.store, record.body));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (record.sessionId && passing) return this.retryResume(error);
      if (record.sessionId) this.store.clear();
      this.phase("compose");
      if (error.status !== 404) showProblem(error);
    }
  }

  /** The service is away while a purchase runs: say so, and look again until it answers. */
  retryResume(problem) {
    this.phase("loading");
    notify("We cannot see your purchase just now", `${problem.message} This page keeps trying by itself.`, { tone: "warn" });
    setTimeout(() => this.start(), 4000);
  }

  async begin(body) {
    hush();
    this.compose.busy(true);
    try {
      this.enter(await openSession(this.api, this.store, body));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      showProblem(error);
    } finally {
      this.compose.busy(false);
    }
  }

  enter(session) {
    hush();
    this.compose.leave();
    setText(byId("purchase-id"), session.id);
    byId("purchase-copy").replaceChildren(copyButton(session.id, "purchase number"));
    this.show(session);
    this.follower = new Follower(this.api, session.id, (next) => this.show(next), (online) => this.link(online));
    this.follower.start();
    if (session.clientSecret) this.pay(session);
    else if (session.status === "awaiting_payment") this.reopen();
  }

  /** After a reload the payment form needs its secret again: the first request, sent once more, answers it. */
  async reopen() {
    try {
      this.pay(await replay(this.api, this.store.record));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.payment.fail("The payment form could not be reopened. Start over below; nothing was charged.");
    }
  }

  pay(session) {
    if (session.status === "awaiting_payment") this.payment.open(session);
  }

  show(session) {
    const paying = session.status === "awaiting_payment";
    this.phase(paying ? "pay" : session.status === "completed" ? "done" : "track");
    showSteps(session);
    showOrder(session);
    byId("restart").hidden = !RESTARTABLE.has(session.status);
    byId("support").hidden = !this.config.supportEmail || ["completed", "awaiting_payment"].includes(session.status);
    byId("support").href = `mailto:${this.config.supportEmail}?subject=${encodeURIComponent(`Purchase ${session.id}`)}`;
    if (!paying) this.payment.close();
    if (session.status === "completed") this.prove(session);
  }

  /** Fetches the proof once for each state of the session; a failed look is repeated with the next state or by itself. */
  async prove(session) {
    if (this.provedAt === session.updatedAt && byId("proof").dataset.ready === "yes") return;
    try {
      const proof = await this.api.delivery(session.id);
      const provider = this.compose.provider ?? window.ethereum ?? null;
      showProof(proof, { config: this.config, api: this.api, provider, sessionId: session.id });
      this.provedAt = session.updatedAt;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setTimeout(() => this.follower && this.prove(session), 3000);
    }
  }

  link(online) {
    const away = byId("notice").dataset.link === "away";
    if (!online && !away) {
      notify("Connection lost", "Your purchase goes on without this page. Updates return by themselves.", { tone: "warn" });
      byId("notice").dataset.link = "away";
    } else if (online && away) {
      delete byId("notice").dataset.link;
      hush();
    }
  }

  restart() {
    this.follower?.stop();
    this.follower = null;
    this.provedAt = null;
    this.payment.close();
    this.store.clear();
    delete byId("proof").dataset.ready;
    hush();
    this.phase("compose");
    this.compose.enter();
  }

  /** Changes the phase; a reader of the page lands on the new heading, except at the very beginning. */
  phase(name) {
    const main = byId("main");
    const before = main.dataset.phase;
    if (before === name) return;
    main.dataset.phase = name;
    if (before === "loading" || name === "loading") return;
    byId(name === "compose" ? "title" : "status-title").focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
}

const config = readConfig();
if (config.merchantName) document.title = `Buy MUSD · ${config.merchantName}`;
setText(byId("merchant"), config.merchantName || "MUSD checkout");
if (config.merchantName) setText(byId("merchant-foot"), config.merchantName);
setText(byId("network"), config.chainName);
setText(byId("summary-network"), config.chainName);
byId("help").hidden = !config.supportEmail;
byId("help").href = `mailto:${config.supportEmail}`;
warmUp(config.stripeScripts);
new Checkout(config).start();
