/** Errors where they belong: at their field if the service names one, else in the notice at the top. */

import type { OnrampProblem } from "../src/problem.js";
import { byId, el } from "./dom.js";
import type { AllWords, Page } from "./page.js";
import { referenceOf, sentenceOf } from "./sentences.js";

export type Field = "wallet" | "amount";
type Tone = "bad" | "warn";

const FIELDS: Record<string, Field> = { "/walletAddress": "wallet", "/sourceAmount": "amount" };
const TITLES: Record<number, keyof AllWords> = { 0: "problem_offline", 429: "problem_slower", 503: "problem_now" };

/** Show a sentence with a title; `about` says what it is about, so that it can be taken back by its cause alone. */
export function notify(title: string, detail: string, { tone = "bad", about = "", reference = "" }: { tone?: Tone; about?: string; reference?: string } = {}): void {
  const notice = byId("notice");
  notice.dataset["tone"] = tone;
  notice.dataset["about"] = about;
  notice.replaceChildren(el("strong", {}, title), el("p", {}, detail));
  if (reference) notice.append(el("p", { class: "reference" }, reference));
  notice.hidden = false;
}

/** Take the notice away; with `about` only one that is about that. */
export function hush(about?: string): void {
  const notice = byId("notice");
  if (about !== undefined && notice.dataset["about"] !== about) return;
  notice.hidden = true;
  notice.dataset["about"] = "";
  notice.replaceChildren();
}

/** Say what is wrong at a field, or with null that nothing is. */
export function markField(field: Field, sentence: string | null): void {
  const input = byId(field);
  const place = byId(`${field}-error`);
  if (place.textContent !== (sentence ?? "")) place.textContent = sentence ?? "";
  if (sentence) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Return what the service says about a field of the request, as a sentence; null if it says nothing. */
export function fieldSentence({ words }: Page, problem: OnrampProblem, pointer: string): string | null {
  const detail = problem.at(pointer);
  if (detail === null) return null;
  // The service writes English. An address that it refuses is the usual case.
  if (pointer === "/walletAddress" && document.documentElement.lang !== "en") return words.wallet_refused;
  return `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`;
}

/** Show a problem: each field that it names gets its sentence, the rest goes into the notice. */
export function showProblem(page: Page, problem: OnrampProblem, about = ""): void {
  let first: Field | null = null;
  for (const [pointer, field] of Object.entries(FIELDS)) {
    const sentence = fieldSentence(page, problem, pointer);
    if (!sentence) continue;
    markField(field, sentence);
    first ??= field;
  }
  if (first) {
    hush();
    byId(first).focus();
    return;
  }
  notifyProblem(page, problem, about);
  byId("notice").scrollIntoView({ block: "nearest" });
}

/** Show a problem in the notice; `about` is what was tried. */
export function notifyProblem(page: Page, problem: OnrampProblem, about: string): void {
  const tone = problem.status === 503 ? "warn" : "bad";
  notify(titleOf(page, problem), sentenceOf(page, problem, about), { tone, about, reference: referenceOf(page, problem) });
}

/** Return the title of a problem; the service's titles are those of HTTP, "Service Unavailable". */
export function titleOf({ words }: Page, problem: OnrampProblem): string {
  return words[TITLES[problem.status] ?? "problem"];
}
