/**
 * One's own purchases: log in by signing a message with a wallet, then see them, check them on the chain, and file them.
 */

import { Problem } from "./api.js";
import { byId, el, icon, saveFile, setText, shortened } from "./dom.js";
import { priced } from "./money.js";
import { explained } from "./wallet.js";

const UNDER_WAY = new Set(["processing", "delivering", "attention"]);

export class History {
  #cursor = null;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./login.js").Login} login
   * @param {import("./walletview.js").WalletView} wallets
   */
  constructor(api, login, wallets) {
    this.api = api;
    this.login = login;
    this.wallets = wallets;
    byId("login").addEventListener("click", () => this.#open());
    byId("logout").addEventListener("click", () => this.#close());
    byId("history-older").addEventListener("click", () => this.#try(() => this.#page(this.#cursor)));
    byId("history-csv").addEventListener("click", () => this.#try(() => this.#saveTable()));
  }

  #open() {
    if (this.login.account) return this.#try(() => this.#page(null));
    if (this.wallets.chosen) return this.#logIn(this.wallets.chosen);
    const choices = this.wallets.found.map((wallet) => this.#choice(wallet));
    byId("history-wallets").replaceChildren(...choices);
    byId("history-wallets").hidden = choices.length === 0;
    const none = "No wallet was found in this browser. Open this page where the wallet is that your purchases went to.";
    this.#say(choices.length ? "With which wallet? It signs a message, which moves no money." : none);
  }

  #choice(wallet) {
    const attributes = { type: "button", class: "wallet", "data-testid": `login-${wallet.id}` };
    const button = el("button", attributes, icon("wallet"), el("span", {}, wallet.name));
    button.addEventListener("click", () => this.#logIn(wallet));
    return button;
  }

  #logIn(wallet) {
    return this.#try(async () => {
      this.#say("Sign the message in your wallet.");
      await this.login.with(wallet);
      await this.#page(null);
    });
  }

  async #close() {
    await this.login.out();
    byId("history-list").replaceChildren();
    this.#dress();
    this.#say("You are logged out, here and wherever else this wallet was logged in.");
  }

  /** Does one thing at a time, and says what went wrong. A token that ran out is forgotten: the next try logs in again. */
  async #try(work) {
    const section = byId("history");
    if (section.getAttribute("aria-busy") === "true") return;
    section.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      if (error instanceof Problem && error.status === 401 && this.login.account) this.login.forget();
      this.#say(error instanceof Problem ? error.message : explained(error, "Unlock it and try again."));
    } finally {
      section.setAttribute("aria-busy", "false");
      this.#dress();
    }
  }

  async #page(cursor) {
    const { data, nextCursor } = await this.api.history(this.login.token, cursor);
    const lines = data.map((session) => this.#line(session));
    if (cursor) byId("history-list").append(...lines);
    else byId("history-list").replaceChildren(...lines);
    this.#cursor = nextCursor;
    this.#say(cursor || data.length ? "" : "This wallet has no purchases yet.");
  }

  /** What shows follows from who is logged in and what is listed. */
  #dress() {
    const { account } = this.login;
    const isEmpty = byId("history-list").children.length === 0;
    setText(byId("history-who"), account ? shortened(account) : "");
    byId("history-who").title = account ?? "";
    byId("history").dataset.account = account ?? "";
    setText(byId("login"), account ? "Look again" : "Show my purchases");
    byId("logout").hidden = !account;
    if (account) byId("history-wallets").hidden = true;
    byId("history-csv").hidden = !account || isEmpty;
    byId("history-older").hidden = !account || !this.#cursor;
  }

  #line(session) {
    const { id, status, createdAt, sourceAmount, sourceCurrency } = session;
    const state = el("span", { class: "state", "data-status": status, "data-testid": "own-status" }, status.replaceAll("_", " "));
    const check = UNDER_WAY.has(status) ? this.#button("Check now", "verify-now", () => this.#check(id, state)) : null;
    return el(
      "li",
      { "data-testid": "own-purchase", "data-id": id },
      el("span", { class: "what" }, el("strong", {}, priced(sourceAmount, sourceCurrency)), ` ${createdAt.slice(0, 10)}`),
      state,
      el("span", { class: "mono id" }, id),
      el("span", { class: "tools" }, check, this.#button("Receipt (PDF)", "save-pdf", () => this.#saveReceipt(id))),
    );
  }

  #button(label, testId, does) {
    const button = el("button", { type: "button", class: "text-link", "data-testid": testId }, label);
    button.addEventListener("click", () => this.#try(does));
    return button;
  }

  async #check(id, state) {
    const proof = await this.api.verify(id, this.login.token);
    const told = { confirmed: "completed", seen: "seen on the chain" }[proof.status] ?? "not on the chain yet";
    setText(state, told);
    if (proof.status === "confirmed") state.dataset.status = "completed";
  }

  async #saveReceipt(id) {
    saveFile(await this.api.receiptPdf(id), `receipt-${id}.pdf`);
  }

  async #saveTable() {
    saveFile(await this.api.historyCsv(this.login.token), "musd-purchases.csv");
  }

  #say(text) {
    setText(byId("history-note"), text);
  }
}
