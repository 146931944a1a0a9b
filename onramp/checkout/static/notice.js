/**
 * Errors where they belong: at their field if the service names one, else in the notice at the top.
 */

import { byId, el } from "./dom.js";

const FIELDS = { "/walletAddress": "wallet", "/sourceAmount": "amount" };

/** Shows one sentence, with a title and a reference for support where there are any. Polite unless it is an error. */
export function notify(title, detail, { tone = "bad", reference = null } = {}) {
  const notice = byId("notice");
  notice.dataset.tone = tone;
  notice.replaceChildren(el("strong", {}, title), el("p", {}, detail));
  if (reference) notice.append(el("p", { class: "reference" }, `Reference ${reference}`));
  notice.hidden = false;
}

export function hush() {
  const notice = byId("notice");
  notice.hidden = true;
  notice.replaceChildren();
}

/** Marks a field ("wallet" or "amount") with a sentence, or clears it with null. */
export function markField(field, sentence) {
  const input = byId(field);
  const place = byId(`${field}-error`);
  if (place.textContent !== (sentence ?? "")) place.textContent = sentence ?? "";
  if (sentence) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Shows a problem from the API: each named field gets its own sentence, the rest goes into the notice. */
export function showProblem(problem) {
  let first = null;
  for (const [pointer, field] of Object.entries(FIELDS)) {
    const sentence = problem.at?.(pointer) ?? null;
    if (!sentence) continue;
    markField(field, sentence);
    first ??= field;
  }
  if (first) {
    hush();
    byId(first).focus();
    return;
  }
  notify(problem.title ?? "That did not work", problem.message, { reference: problem.requestId ?? null });
  byId("notice").scrollIntoView({ block: "nearest" });
}
