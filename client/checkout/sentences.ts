/** What went wrong, as a sentence in the buyer's language. */

import type { OnrampProblem } from "../src/problem.js";
import type { AllWords, Page } from "./page.js";

const USER_REFUSED = 4001;
const ALREADY_ASKED = -32002;
/** What to say for a code; any other problem has the service's own sentence. */
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

/** Return a problem as a sentence in the buyer's language; the service's own if there is none for its code. */
export function sentenceOf({ words }: Page, problem: OnrampProblem): string {
  const key = SENTENCES[problem.code];
  return key ? words[key] : problem.message;
}

/** Say what went wrong in a wallet; `instead` is what to do about one that did not answer. */
export function walletSentence({ words }: Page, error: unknown, instead: "wallet_silent" | "wallet_locked"): string {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === USER_REFUSED) return words.wallet_declined;
  return code === ALREADY_ASKED ? words.wallet_waiting : words[instead];
}
