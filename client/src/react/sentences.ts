/** What a state means for the buyer, in one sentence of the words given. */

import { formatAmount, MUSD_DECIMALS, parseUnits } from "../money.js";
import type { Purchase } from "../phases.js";
import type { Session } from "../status.js";
import type { Words } from "../words/en.js";

/** Put values into a text's `{names}`. */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** Return the sentence for a purchase; empty before it begins. */
export function wordsOf(now: Purchase | { phase: "track"; session: Session }, words: Words, locale?: string): string {
  switch (now.phase) {
    case "compose":
      return "";
    case "creating":
      return now.problem ? words.creating_again : words.creating;
    case "resuming":
      return words.resuming;
    case "failed":
      return [now.problem.message, ...now.problem.errors.map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}.`)].join(" ");
    case "pay":
      if (now.form === "blocked" && !now.payment) return words.form_elsewhere;
      return now.form === "ready" && now.session.delivery.mode === "payout" ? `${words.form_ready} ${words.form_usdc}` : words[`form_${now.form}`];
    default:
      return ofSession(now.session, words, locale);
  }
}

function ofSession(session: Session, words: Words, locale: string | undefined): string {
  const { status, delivery, id } = session;
  const musd = formatAmount(parseUnits(delivery.expectedAmount ?? "0", MUSD_DECIMALS), "MUSD", locale, MUSD_DECIMALS);
  const isSeen = status === "delivering" && delivery.status === "seen";
  // Paid by the word of Stripe's form alone: the service learns it within two minutes.
  const key = status === "awaiting_payment" ? "processing" : isSeen ? "seen" : status;
  return fill(key in words ? words[key] : words.unknown, { musd, id });
}
