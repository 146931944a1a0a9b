/** One's own purchases: log in by signing a message with a wallet, then see them, check them on the chain, and file them. */

import type { Session } from "../src/status.js";
import { priced } from "./amounts.js";
import { byId, el, icon, saveFile, setText, shortened } from "./dom.js";
import { type AllWords, type Page, pathOf } from "./page.js";
import type { Recipient } from "./recipient.js";
import type { Wallet } from "./wallets.js";

const UNDER_WAY = new Set(["processing", "delivering", "attention"]);

export class History {
  #page: Page;
  #recipient: Recipient;
  #cursor: string | null = null;

  constructor(page: Page, recipient: Recipient) {
    this.#page = page;
    this.#recipient = recipient;
    byId("logout").addEventListener("click", () => void this.#try(() => this.#close()));
    byId("history-older").addEventListener("click", () => void this.#try(() => this.#list(this.#cursor)));
    byId("history-csv").addEventListener("click", () => void this.#try(() => this.#saveTable()));
  }

  /** List the purchases of the wallet that is logged in. If none is, log in with the connected wallet or one that the buyer chooses. */
  open(): void {
    const { words, onramp } = this.#page;
    if (onramp.auth.account) return void this.#try(() => this.#list(null));
    if (this.#recipient.chosen) return this.#logIn(this.#recipient.chosen);
    const choices = this.#recipient.wallets.map((wallet) => this.#choice(wallet));
    byId("history-wallets").replaceChildren(...choices);
    byId("history-wallets").hidden = choices.length === 0;
    this.#say(choices.length ? words.history_which : words.history_no_wallet);
  }

  #choice(wallet: Wallet): HTMLButtonElement {
    const attributes = { type: "button", class: "wallet", "data-testid": `login-${wallet.id}` };
    const button = el("button", attributes, icon("wallet"), el("span", {}, wallet.name));
    button.addEventListener("click", () => this.#logIn(wallet));
    return button;
  }

  #logIn(wallet: Wallet): void {
    void this.#try(async () => {
      this.#say(this.#page.words.history_sign);
      await this.#page.onramp.auth.login(await wallet.signer());
      await this.#list(null);
    });
  }

  async #close(): Promise<void> {
    // The token is forgotten here, whatever the service answers.
    await this.#page.onramp.auth.logout().catch(() => {});
    byId("history-list").replaceChildren();
    this.#say(this.#page.words.history_out);
  }

  /** Do one thing at a time, and say what went wrong. A token that ran out is forgotten: the next try logs in again. */
  async #try(work: () => Promise<void>): Promise<void> {
    const section = byId("history");
    if (section.getAttribute("aria-busy") === "true") return;
    section.setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      this.#say(this.#page.explain(error, "wallet_locked"));
    } finally {
      section.setAttribute("aria-busy", "false");
      this.#dress();
    }
  }

  async #list(cursor: string | null): Promise<void> {
    const { data, nextCursor } = await this.#page.onramp.sessions.list({ cursor });
    const lines = data.map((session) => this.#line(session));
    if (cursor) byId("history-list").append(...lines);
    else byId("history-list").replaceChildren(...lines);
    this.#cursor = nextCursor;
    this.#say(cursor || data.length ? "" : this.#page.words.history_none);
  }

  /** What shows follows from who is logged in and what is listed. */
  #dress(): void {
    const { words, onramp } = this.#page;
    const { account } = onramp.auth;
    const isEmpty = byId("history-list").children.length === 0;
    setText(byId("history-who"), account ? shortened(account) : "");
    byId("history-who").title = account ?? "";
    byId("history").dataset["account"] = account ?? "";
    setText(byId("login"), account ? words.history_again : words.history_show);
    byId("logout").hidden = !account;
    if (account) byId("history-wallets").hidden = true;
    byId("history-csv").hidden = !account || isEmpty;
    byId("history-older").hidden = !account || !this.#cursor;
  }

  #line({ id, status, createdAt, sourceAmount, sourceCurrency }: Session): HTMLElement {
    const { words, locale, parameters } = this.#page;
    const key = `status_${status}` as keyof AllWords;
    const state = el("span", { class: "state", "data-status": status, "data-testid": "own-status" }, words[key] ?? status);
    const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(new Date(createdAt));
    const check = UNDER_WAY.has(status) ? this.#button(words.check_now, "verify-now", () => this.#check(id, state)) : null;
    return el(
      "li",
      { "data-testid": "own-purchase", "data-id": id },
      el("span", { class: "what" }, el("strong", {}, priced(sourceAmount, sourceCurrency, locale)), ` ${day}`),
      state,
      el("a", { class: "mono id", href: pathOf(id, parameters) }, id),
      el("span", { class: "tools" }, check, this.#button(words.receipt, "save-pdf", () => this.#saveReceipt(id))),
    );
  }

  #button(label: string, testId: string, action: () => Promise<void>): HTMLButtonElement {
    const button = el("button", { type: "button", class: "text-link", "data-testid": testId }, label);
    button.addEventListener("click", () => void this.#try(action));
    return button;
  }

  async #check(id: string, state: HTMLElement): Promise<void> {
    const { words, onramp } = this.#page;
    const { status } = await onramp.sessions.verify(id);
    setText(state, status === "confirmed" ? words.status_completed : status === "seen" ? words.seen_now : words.not_seen);
    if (status === "confirmed") state.dataset["status"] = "completed";
  }

  async #saveReceipt(id: string): Promise<void> {
    saveFile(await this.#page.onramp.sessions.receiptPdf(id), `receipt-${id}.pdf`);
  }

  async #saveTable(): Promise<void> {
    saveFile(await this.#page.onramp.sessions.listCsv(), "musd-purchases.csv");
  }

  #say(text: string): void {
    setText(byId("history-note"), text);
  }
}
