/** What went wrong, as a sentence in the buyer's language. */

import type { OnrampProblem } from "../src/problem.js";
import type { AllWords, Page } from "./page.js";

const USER_REFUSED = 4001;
const ALREADY_ASKED = -32002;
/** What to say for a code. */
const SENTENCES: Record<string, keyof AllWords> = {
  unreachable: "unreachable",
  rate_limited: "rate_limited",
  paused: "paused",
  inventory_low: "unavailable",
  inventory_unknown: "unavailable",
  delivery_unavailable: "unavailable",
  screening_unavailable: "unavailable",
  stripe_unavailable: "unavailable",
  database_unavailable: "unavailable",
  quotes_busy: "unavailable",
  timeout: "unavailable",
  unexpected: "unavailable",
  not_available: "not_available",
  crypto_onramp_unsupported_country: "region",
  crypto_onramp_currency_not_available_in_region: "region",
  crypto_onramp_limit_exceeded: "limit",
  wallet_limit: "limit",
};

/** Fields of a request that come from the shop's link and not from the buyer. */
const OF_THE_LINK = /\/(returnUrl|reference)$/;

/** Return a problem as a sentence in the buyer's language. Only where a purchase is created (`about` "create") is it certain that nothing was charged. */
export function sentenceOf({ words }: Page, { code, errors }: OnrampProblem, about = ""): string {
  const sentence = words[SENTENCES[code] ?? "unavailable"];
  if (about !== "create") return sentence;
  const isOfTheLink = errors.some(({ pointer }) => OF_THE_LINK.test(pointer));
  return `${isOfTheLink ? words.shop_link : sentence} ${words.uncharged}`;
}

/** Return what support needs to find a problem: the service's English sentence, where its code has none here, and the request's id. */
export function referenceOf({ words }: Page, { code, message, requestId }: OnrampProblem): string {
  return [SENTENCES[code] ? "" : message, requestId ? `${words.reference} ${requestId}` : ""].filter(Boolean).join(" · ");
}

/** Say what went wrong in a wallet; `instead` is what to do about one that did not answer. */
export function walletSentence({ words }: Page, error: unknown, instead: "wallet_silent" | "wallet_locked"): string {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === USER_REFUSED) return words.wallet_declined;
  return code === ALREADY_ASKED ? words.wallet_waiting : words[instead];
}
