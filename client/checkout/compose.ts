/** The order form: where to, how much and in which currency, and the estimate that follows each keystroke. */

import { FIAT_DECIMALS, parseAmount, parseUnits } from "../src/money.js";
import type { OnrampProblem } from "../src/problem.js";
import type { CreateSession } from "../src/schema.js";
import type { Session } from "../src/status.js";
import { type AskedAmount, askedAmount, priced, pricedWhole, signOf, typedForm } from "./amounts.js";
import { byId, el, setText } from "./dom.js";
import { fieldSentence, hush, markField, notifyProblem } from "./notice.js";
import type { Page } from "./page.js";
import { Quotes, showRecipient } from "./quotes.js";
import { Recipient } from "./recipient.js";

const QUICK = ["50", "100", "250", "500", "1000"];
const QUICK_SHOWN = 4;
const EXAMPLE = "99.50";

export class Compose {
  readonly recipient: Recipient;
  #page: Page;
  #quotes: Quotes;
  #isBusy = false;
  #isChoosing = true;
  /** What the URL asks for. */
  #asked: AskedAmount;
  #input = byId<HTMLInputElement>("amount");
  #currency = byId<HTMLSelectElement>("currency");

  constructor(page: Page, onSubmit: (body: CreateSession) => void) {
    this.#page = page;
    const { parameters, config } = page;
    this.#quotes = new Quotes(page, (problem) => this.#quoted(problem));
    this.recipient = new Recipient(page, showRecipient);
    this.#offerCurrencies(Object.keys(config.limits), parameters.currency);
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("blur", () => this.#check({ isQuietWhenEmpty: true }));
    this.#currency.addEventListener("change", () => this.#dressCurrency());
    byId("compose").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#isBusy) this.#submit(onSubmit);
    });
    this.#asked = askedAmount(parameters.amount);
    this.#input.value = this.#asked.text && typedForm(this.#asked.text, page.locale);
    if (parameters.wallet) this.recipient.fill(parameters.wallet);
    this.#dressCurrency();
    if (parameters.wallet) this.recipient.check();
  }

  /** Put back what was asked, after a reload or on another device; from now on there is nothing to choose. */
  restore({ walletAddress, sourceAmount, sourceCurrency }: Session): void {
    this.recipient.fill(walletAddress, this.recipient.address === walletAddress ? this.recipient.chosen : null);
    const isShown = this.#isChoosing && this.#currency.value === sourceCurrency && this.#check({ isQuietWhenEmpty: true }) === sourceAmount;
    this.#isChoosing = false;
    if (!isShown || this.#isKeyed) {
      this.#input.value = typedForm(sourceAmount, this.#page.locale);
      this.#currency.value = sourceCurrency;
      this.#dressCurrency();
    }
    this.#quotes.stopRefreshing();
  }

  enter(): void {
    this.#isChoosing = true;
    delete byId("summary").dataset["quote"];
    this.#changed();
    showRecipient(this.recipient.address);
  }

  busy(isBusy: boolean): void {
    this.#isBusy = isBusy;
    byId("pay").setAttribute("aria-busy", String(isBusy));
    byId("pay").setAttribute("aria-disabled", String(isBusy));
  }

  /** Whether purchases begin elsewhere, so that nothing is chosen here. */
  get #isKeyed(): boolean {
    return this.#page.config.sessionCreation === "keyed";
  }

  #submit(onSubmit: (body: CreateSession) => void): void {
    const walletAddress = this.recipient.check();
    const sourceAmount = this.#check({ isSubmitted: true });
    if (!walletAddress || !sourceAmount) return byId(walletAddress ? "amount" : "wallet").focus();
    const { parameters, locale } = this.#page;
    const { reference, returnUrl } = parameters;
    onSubmit({
      walletAddress,
      sourceAmount,
      sourceCurrency: this.#currency.value,
      locale: new Intl.Locale(locale).baseName,
      ...(reference && { reference }),
      ...(returnUrl && { returnUrl }),
    });
  }

  /** Return the amount in the service's form, or null with the reason at the field. */
  #check({ isQuietWhenEmpty = false, isSubmitted = false } = {}): string | null {
    const { say, locale } = this.#page;
    const amount = parseAmount(this.#input.value, locale);
    const isEmpty = !amount.ok && amount.reason === "empty";
    let error: string | null = null;
    // While the field is empty, the question is about what the URL asks for.
    let readings = isEmpty ? this.#asked.readings : [];
    if (!amount.ok && amount.reason === "ambiguous") readings = amount.readings;
    if (amount.ok) error = this.#outside(amount.units);
    else if (readings.length) error = say("amount_which");
    else if (amount.reason === "incomplete" ? isSubmitted : !(isEmpty && isQuietWhenEmpty && this.#asked.text)) {
      const reason = amount.reason === "incomplete" ? "not_a_number" : amount.reason;
      error = say(`amount_${reason}`, { example: typedForm(EXAMPLE, locale) });
    }
    markField("amount", error);
    this.#ask(readings);
    return amount.ok && error === null ? amount.text : null;
  }

  /** Offer what an unclear amount may mean. The buttons stay while the question does: leaving the field must not take away the one being pressed. */
  #ask(readings: string[]): void {
    const { locale } = this.#page;
    const currency = this.#currency.value;
    const place = byId("amount-readings");
    const question = [currency, ...readings].join(" ");
    if (place.dataset["question"] === question) return;
    place.dataset["question"] = question;
    place.replaceChildren(...readings.map((reading) => this.#chip(reading, priced(reading, currency, locale), `reading-${reading}`)));
    place.hidden = readings.length === 0;
  }

  #outside(units: bigint): string | null {
    const { say, config, locale } = this.#page;
    const currency = this.#currency.value;
    const { min = "0", max = "0" } = config.limits[currency] ?? {};
    if (units < parseUnits(min, FIAT_DECIMALS)) return say("amount_smallest", { amount: priced(min, currency, locale) });
    if (units > parseUnits(max, FIAT_DECIMALS)) return say("amount_largest", { amount: priced(max, currency, locale) });
    return null;
  }

  #changed(): void {
    const text = this.#check({ isQuietWhenEmpty: true });
    for (const button of byId("quick").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(text === `${button.value}.00`));
    }
    if (!this.#isKeyed || !this.#isChoosing) this.#quotes.want(text, this.#currency.value);
  }

  #quoted(problem: OnrampProblem | null): void {
    if (!this.#isChoosing) return;
    if (!problem) return hush("quote");
    const atField = fieldSentence(this.#page, problem, "/sourceAmount");
    if (atField) return markField("amount", atField);
    notifyProblem(this.#page, problem, "quote");
  }

  #offerCurrencies(currencies: string[], asked: string | null): void {
    this.#currency.replaceChildren(...currencies.map((currency) => el("option", { value: currency }, currency.toUpperCase())));
    if (asked && currencies.includes(asked)) this.#currency.value = asked;
    this.#currency.disabled = currencies.length < 2;
  }

  /** Show sign, limits and quick choices in the chosen currency. */
  #dressCurrency(): void {
    const { config, locale, say } = this.#page;
    const currency = this.#currency.value;
    const { min = "0", max = "0" } = config.limits[currency] ?? {};
    const isWithin = (amount: string) => this.#outside(parseUnits(amount, FIAT_DECIMALS)) === null;
    const chips = QUICK.filter(isWithin).slice(0, QUICK_SHOWN);
    byId("quick").replaceChildren(...chips.map((amount) => this.#chip(amount, pricedWhole(amount, currency, locale), `quick-${amount}`)));
    setText(byId("symbol"), signOf(currency, locale));
    setText(byId("amount-hint"), say("amount_limits", { min: pricedWhole(min, currency, locale), max: pricedWhole(max, currency, locale) }));
    this.#changed();
  }

  /** Make a button that puts an amount into the field. */
  #chip(amount: string, label: string, testId: string): HTMLButtonElement {
    const button = el("button", { type: "button", class: "chip", value: amount, "data-testid": testId }, label);
    button.addEventListener("click", () => {
      this.#input.value = typedForm(amount, this.#page.locale);
      this.#changed();
      if (testId.startsWith("reading")) this.#input.focus();
    });
    return button;
  }
}
