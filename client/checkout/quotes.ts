/** The order beside the form: a live estimate while the buyer chooses, the agreed figures once the purchase runs. */

import { isProblem, type OnrampProblem } from "../src/problem.js";
import type { QuoteResponse } from "../src/schema.js";
import type { Session } from "../src/status.js";
import { isSome, musd, musdAbout, priced } from "./amounts.js";
import { byId, el, setText, shortened } from "./dom.js";
import type { Page } from "./page.js";

const DEBOUNCE_MS = 300;
const REFRESH_MS = 60_000;
const NOTHING = "0";

function row(label: string, value: string, kind = ""): HTMLElement {
  return el("div", { class: kind ? `row ${kind}` : "row" }, el("dt", {}, label), el("dd", {}, value));
}

export class Quotes {
  #page: Page;
  #onProblem: (problem: OnrampProblem | null) => void;
  #timer: number | undefined;
  #refresher: number | undefined;
  #asking = new AbortController();
  #isRefreshing = true;

  /** `onProblem` is called with null once there is an estimate again. */
  constructor(page: Page, onProblem: (problem: OnrampProblem | null) => void) {
    this.#page = page;
    this.#onProblem = onProblem;
  }

  /** Estimate an amount soon; null empties the estimate. */
  want(amount: string | null, currency: string): void {
    this.stop();
    this.#isRefreshing = true;
    const card = byId("summary");
    card.hidden = false;
    if (amount === null) {
      card.dataset["quote"] = "none";
      this.#empty();
      return;
    }
    card.dataset["quote"] = card.dataset["quote"] === "ready" ? "updating" : "loading";
    this.#timer = window.setTimeout(() => void this.#ask(amount, currency), DEBOUNCE_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#refresher);
    this.#asking.abort();
  }

  /** Leave the estimate as it is: a running purchase is not estimated again. */
  stopRefreshing(): void {
    clearInterval(this.#refresher);
    this.#isRefreshing = false;
  }

  async #ask(sourceAmount: string, sourceCurrency: string): Promise<void> {
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    try {
      const quote = await this.#page.onramp.quote({ sourceAmount, sourceCurrency }, { signal });
      if (signal.aborted) return;
      this.#show(quote);
      this.#onProblem(null);
      clearInterval(this.#refresher);
      if (!this.#isRefreshing) return;
      const again = () => document.visibilityState === "visible" && void this.#ask(sourceAmount, sourceCurrency);
      this.#refresher = window.setInterval(again, REFRESH_MS);
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      this.#empty();
      if (!isProblem(error)) throw error;
      this.#onProblem(error);
    }
  }

  #empty(): void {
    this.#estimate("none", musd(NOTHING, this.#page.locale));
    byId("quote-rows").replaceChildren(row(this.#page.words.total, "–", "total"));
  }

  /** Show an estimate; one that comes late, as after a reload, does not replace what Stripe delivered. */
  #estimate(state: string, amount: string): void {
    const card = byId("summary");
    if (card.dataset["quote"] === "agreed") return;
    card.dataset["quote"] = state;
    setText(byId("summary-lead"), this.#page.words.receive_about);
    setText(byId("quote-note"), this.#page.words.estimate);
    setText(byId("quote-musd"), amount);
  }

  #show({ fees, sourceAmount, sourceCurrency, total, musdAmount }: QuoteResponse): void {
    const { words, locale } = this.#page;
    this.#estimate("ready", musdAbout(musdAmount, locale));
    const rows = [row(words.amount_label, priced(sourceAmount, sourceCurrency, locale))];
    if (isSome(fees.network)) rows.push(row(words.fee_network, priced(fees.network, sourceCurrency, locale)));
    if (isSome(fees.transaction)) rows.push(row(words.fee_card, priced(fees.transaction, sourceCurrency, locale)));
    if (isSome(fees.payout)) rows.push(row(words.fee_payout, `${musd(fees.payout, locale)} MUSD`));
    rows.push(row(words.total, priced(total, sourceCurrency, locale), "total"));
    byId("quote-rows").replaceChildren(...rows);
  }
}

/** Show who receives, as far as that is known. */
export function showRecipient(address: string | null): void {
  const place = byId("summary-to");
  setText(place, address ? shortened(address) : "–");
  place.title = address ?? "";
}

/** Show the order of a running purchase. What Stripe delivers decides the amount of MUSD, so it is named once that is known. */
export function showOrder({ words, locale }: Page, session: Session): void {
  const agreed = session.delivery.expectedAmount;
  const card = byId("summary");
  card.hidden = ["rejected", "expired"].includes(session.status);
  if (agreed !== null) setText(byId("quote-musd"), musdAbout(agreed, locale));
  const lead = session.status === "completed" ? words.received : words.receive;
  setText(byId("summary-lead"), agreed === null ? words.receive_about : lead);
  setText(byId("quote-note"), agreed === null ? words.estimate : words.agreed);
  if (agreed !== null) card.dataset["quote"] = "agreed";
  else if (card.dataset["quote"] === "updating") card.dataset["quote"] = "ready";
  showRecipient(session.walletAddress);
}
