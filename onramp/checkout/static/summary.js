/**
 * The order beside the form: a live estimate while the buyer chooses, the agreed figures once the purchase runs.
 */

import { Problem } from "./api.js";
import { byId, el, setText, shortened } from "./dom.js";
import { clipped, grouped, priced, toUnits } from "./money.js";

const DEBOUNCE_MS = 300;
const REFRESH_MS = 60000;
const QUOTE_PLACES = 4;
const OPEN_NOTE = "An estimate. What Stripe delivers when you pay decides the exact amount.";
const AGREED_NOTE = "Fees as estimated before payment. Stripe’s receipt names what your card was charged.";

function row(label, value, kind = null) {
  return el("div", { class: kind ? `row ${kind}` : "row" }, el("dt", {}, label), el("dd", {}, value));
}

/** Fees that are zero are left out; a fee below the cent is still shown as it is. */
function isSome(fee) {
  const units = fee ? toUnits(fee, 18) : null;
  return units !== null && units > 0n;
}

export class Quotes {
  #timer = null;
  #refresher = null;
  #asking = null;
  #refreshing = true;

  /**
   * @param {import("./api.js").Api} api
   * @param {string} currency source currency
   * @param {(problem: Problem|null) => void} onProblem null once a quote is there again
   */
  constructor(api, currency, onProblem) {
    this.api = api;
    this.currency = currency;
    this.onProblem = onProblem;
  }

  /** Quotes `amount` soon; null empties the estimate. */
  want(amount) {
    this.stop();
    this.#refreshing = true;
    const card = byId("summary");
    card.hidden = false;
    if (amount === null) {
      card.dataset.quote = "none";
      this.#empty();
      return;
    }
    card.dataset.quote = card.dataset.quote === "ready" ? "updating" : "loading";
    this.#timer = setTimeout(() => this.#ask(amount), DEBOUNCE_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    clearInterval(this.#refresher);
    this.#asking?.abort();
  }

  /** The estimate stays as it is; a running purchase is not quoted again. */
  stopRefreshing() {
    clearInterval(this.#refresher);
    this.#refreshing = false;
  }

  async #ask(amount) {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const quote = await this.api.quote(amount, this.currency, asking.signal);
      if (asking.signal.aborted) return;
      this.#show(quote);
      this.onProblem(null);
      clearInterval(this.#refresher);
      if (!this.#refreshing) return;
      this.#refresher = setInterval(() => document.visibilityState === "visible" && this.#ask(amount), REFRESH_MS);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.stop();
      this.#empty();
      if (!(error instanceof Problem)) throw error;
      this.onProblem(error);
    }
  }

  #empty() {
    this.#estimate("none", "0.00");
    byId("quote-rows").replaceChildren(row("Total", "–", "total"));
  }

  /** An estimate that comes late, as after a reload, does not replace what Stripe delivered. */
  #estimate(state, musd) {
    const card = byId("summary");
    if (card.dataset.quote === "agreed") return;
    card.dataset.quote = state;
    setText(byId("summary-lead"), "You receive about");
    setText(byId("quote-note"), OPEN_NOTE);
    setText(byId("quote-musd"), musd);
  }

  #show(quote) {
    const { fees, sourceCurrency: currency } = quote;
    this.#estimate("ready", grouped(clipped(quote.musdAmount, QUOTE_PLACES)));
    const rows = [row("Amount", priced(quote.sourceAmount, currency))];
    if (isSome(fees.network)) rows.push(row("Network fee", priced(fees.network, currency)));
    if (isSome(fees.transaction)) rows.push(row("Card fee", priced(fees.transaction, currency)));
    if (isSome(fees.payout)) rows.push(row("Delivery fee, kept from MUSD", `${grouped(fees.payout)} MUSD`));
    rows.push(row("Total", priced(quote.total, currency), "total"));
    byId("quote-rows").replaceChildren(...rows);
  }
}

/** Who receives, as far as known. */
export function showRecipient(address) {
  const place = byId("summary-to");
  setText(place, address ? shortened(address) : "–");
  place.title = address ?? "";
}

/** The order of a running session. What Stripe delivers decides the MUSD amount, so it is named once that is known. */
export function showOrder(session) {
  const agreed = session.delivery.expectedAmount ?? null;
  const card = byId("summary");
  card.hidden = ["rejected", "expired"].includes(session.status);
  if (agreed !== null) setText(byId("quote-musd"), grouped(clipped(agreed, QUOTE_PLACES)));
  const lead = session.status === "completed" ? "You received" : "You receive";
  setText(byId("summary-lead"), agreed === null ? "You receive about" : lead);
  setText(byId("quote-note"), agreed === null ? OPEN_NOTE : AGREED_NOTE);
  if (agreed !== null) card.dataset.quote = "agreed";
  else if (card.dataset.quote === "updating") card.dataset.quote = "ready";
  showRecipient(session.walletAddress);
}
