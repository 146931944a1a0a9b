/** The four steps of a purchase as a list, its title, and the sentence that says where it stands and whether money moved. */

import type { Purchase } from "../src/phases.js";
import { fill, wordsOf } from "../src/react/sentences.js";
import type { Session } from "../src/status.js";
import { byId, setText } from "./dom.js";
import type { AllWords, Page } from "./page.js";

const STEPS = ["payment", "processing", "delivering", "completed"] as const;
const REASONS = ["waiting_for_second_node", "chain_paused", "payouts_paused", "awaiting_approval", "screening", "insufficient", "reorg"] as const;

export type WithSession = Extract<Purchase, { session: Session }>;
type Tone = "calm" | "good" | "warn" | "bad";
interface Explanation {
  title: string;
  detail: string;
  tone: Tone;
}

/** Return the index of the step that a purchase is at, and whether it stopped there. */
function position(now: WithSession): { index: number; isStopped: boolean } {
  const { status } = now.session;
  const index: Record<string, number> = { processing: 1, delivering: 2, attention: 2, completed: STEPS.length };
  const isStopped = ["expired", "rejected", "attention"].includes(status);
  // Paid by the word of Stripe's form alone looks like a payment that is processed.
  return { index: index[status] ?? (now.phase === "track" ? 1 : 0), isStopped };
}

function stateOf(step: number, { index, isStopped }: { index: number; isStopped: boolean }): "done" | "waiting" | "problem" | "current" {
  if (step < index) return "done";
  if (step > index) return "waiting";
  return isStopped ? "problem" : "current";
}

/** Return what a state means for the buyer. Pure: a purchase in, sentences out. */
export function explain(now: WithSession, words: AllWords, locale: string): Explanation {
  const { status, delivery, id } = now.session;
  const detail = wordsOf(now, words, locale);
  const reason = REASONS.find((each) => each === delivery.reason);
  if (now.phase === "pay") return { title: words.title_pay, detail, tone: "calm" };
  switch (status) {
    case "awaiting_payment":
    case "processing":
      return { title: words.title_processing, detail, tone: "calm" };
    case "delivering":
      return { title: words.title_delivering, detail: reason ? words[reason] : detail, tone: "calm" };
    case "completed":
      return { title: words.title_completed, detail: `${detail} ${words.proof_below}`, tone: "good" };
    case "rejected":
      return { title: words.title_rejected, detail, tone: "bad" };
    case "expired":
      return { title: words.title_expired, detail, tone: "warn" };
    case "attention":
      if (delivery.status === "mismatch") return { title: words.title_mismatch, detail: fill(words.mismatch, { id }), tone: "warn" };
      return { title: words.title_attention, detail: reason ? `${words[reason]} ${detail}` : detail, tone: "warn" };
    default:
      return { title: words.title_unknown, detail, tone: "calm" };
  }
}

/** Show steps and explanation. The explanation is a live region, so a change is spoken once. */
export function showSteps({ words, locale, say }: Page, now: WithSession): void {
  const at = position(now);
  const explanation = explain(now, words, locale);
  STEPS.forEach((name, step) => {
    const item = byId(`step-${name}`);
    const state = stateOf(step, at);
    item.dataset["state"] = state;
    setText(byId(`step-${name}-state`), words[`state_${state}`]);
    if (state === "current") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  const { status, delivery } = now.session;
  byId("status").dataset["tone"] = explanation.tone;
  byId("status").dataset["status"] = status;
  setText(byId("status-title"), explanation.title);
  setText(byId("status-detail"), explanation.detail);
  const isSeen = ["delivering", "attention"].includes(status) && delivery.confirmations > 0;
  setText(byId("status-count"), isSeen ? say("confirmations", { count: String(delivery.confirmations) }) : "");
}
