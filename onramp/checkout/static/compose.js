/**
 * The order form: where to, how much, and the estimate that follows each keystroke.
 */

import { byId, el } from "./dom.js";
import { priced, tidy, toUnits, typed } from "./money.js";
import { markField, notify, hush } from "./notice.js";
import { Quotes, showRecipient } from "./summary.js";
import { WalletView } from "./walletview.js";

const QUICK = ["50", "100", "250", "500", "1000"];
const QUICK_SHOWN = 4;

export class Compose {
  #busy = false;
  #choosing = true;

  /**
   * @param {import("./config.js").Config} config
   * @param {import("./api.js").Api} api
   * @param {import("./login.js").Login} login
   * @param {(body: {walletAddress: string, sourceAmount: string, sourceCurrency: string}) => void} onSubmit
   */
  constructor(config, api, login, onSubmit) {
    this.config = config;
    this.input = byId("amount");
    this.quotes = new Quotes(api, config.currency, (problem) => this.#quoted(problem));
    this.wallet = new WalletView(config, login, showRecipient);
    this.input.addEventListener("input", () => {
      const cleaned = typed(this.input.value);
      if (cleaned !== this.input.value) this.input.value = cleaned;
      this.#changed();
    });
    byId("compose").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#busy) this.#submit(onSubmit);
    });
    this.#offerQuick();
    this.#limits();
    this.#changed();
  }

  get provider() {
    return this.wallet.provider;
  }

  /** Puts back what was asked, after a reload. */
  restore(body) {
    this.wallet.fill(body.walletAddress);
    this.input.value = body.sourceAmount.replace(/\.00$/, "");
    this.#changed();
  }

  enter() {
    this.#choosing = true;
    this.#changed();
    showRecipient(this.wallet.address);
  }

  leave() {
    this.#choosing = false;
    this.quotes.stopRefreshing();
  }

  busy(on) {
    this.#busy = on;
    const button = byId("pay");
    button.setAttribute("aria-busy", String(on));
    button.setAttribute("aria-disabled", String(on));
  }

  #submit(onSubmit) {
    const walletAddress = this.wallet.check();
    const sourceAmount = this.#check({ quietWhenEmpty: false });
    if (!walletAddress || !sourceAmount) return byId(walletAddress ? "amount" : "wallet").focus();
    onSubmit({ walletAddress, sourceAmount, sourceCurrency: this.config.currency });
  }

  /** The amount as the API wants it, or null with the reason at the field. */
  #check({ quietWhenEmpty }) {
    const amount = tidy(this.input.value);
    const { minAmount, maxAmount, currency } = this.config;
    let wrong = null;
    if (amount === null) wrong = quietWhenEmpty && !this.input.value ? null : "Enter an amount, such as 100 or 99.50.";
    else if (toUnits(amount, 2) < toUnits(tidy(minAmount), 2)) wrong = `The smallest purchase is ${priced(minAmount, currency)}.`;
    else if (toUnits(amount, 2) > toUnits(tidy(maxAmount), 2)) wrong = `The largest purchase is ${priced(maxAmount, currency)}.`;
    markField("amount", wrong);
    return wrong ? null : amount;
  }

  #changed() {
    for (const button of byId("quick").children) {
      button.setAttribute("aria-pressed", String(tidy(button.value) === tidy(this.input.value)));
    }
    this.quotes.want(this.#check({ quietWhenEmpty: true }));
  }

  #quoted(problem) {
    if (!this.#choosing) return;
    const notice = byId("notice");
    if (!problem) {
      if (notice.dataset.about === "quote") hush();
      delete notice.dataset.about;
      return;
    }
    const atField = problem.at("/sourceAmount");
    if (atField) return markField("amount", atField);
    notify(problem.title, problem.message, { tone: problem.status === 503 ? "warn" : "bad" });
    notice.dataset.about = "quote";
  }

  #within(amount) {
    const units = toUnits(tidy(amount), 2);
    return units >= toUnits(tidy(this.config.minAmount), 2) && units <= toUnits(tidy(this.config.maxAmount), 2);
  }

  #offerQuick() {
    for (const amount of QUICK.filter((each) => this.#within(each)).slice(0, QUICK_SHOWN)) {
      const attributes = { type: "button", class: "chip", value: amount, "data-testid": `quick-${amount}` };
      const button = el("button", attributes, priced(amount, this.config.currency));
      button.addEventListener("click", () => {
        this.input.value = amount;
        this.#changed();
      });
      byId("quick").append(button);
    }
  }

  #limits() {
    const { minAmount, maxAmount, currency } = this.config;
    const whole = (amount) => amount.replace(/\.0+$/, "");
    byId("amount-hint").textContent = `From ${priced(whole(minAmount), currency)} to ${priced(whole(maxAmount), currency)}`;
  }
}
