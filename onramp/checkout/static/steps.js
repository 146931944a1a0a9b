/**
 * The four steps of a purchase as a list, and the one sentence that explains where it stands.
 */

import { byId, setText } from "./dom.js";
import { explain } from "./words.js";

const STEPS = ["payment", "processing", "delivering", "completed"];
const SPOKEN = { done: "done", current: "in progress", waiting: "not yet", problem: "needs attention" };

/** Where a session stands: the index of its step, and whether it stopped there. */
function position(session) {
  switch (session.status) {
    case "awaiting_payment":
      return { index: 0, stopped: false };
    case "expired":
    case "rejected":
      return { index: 0, stopped: true };
    case "processing":
      return { index: 1, stopped: false };
    case "delivering":
      return { index: 2, stopped: false };
    case "attention":
      return { index: 2, stopped: true };
    case "completed":
      return { index: STEPS.length, stopped: false };
    default:
      return { index: 0, stopped: false };
  }
}

function stateOf(step, { index, stopped }) {
  if (step < index) return "done";
  if (step > index) return "waiting";
  return stopped ? "problem" : "current";
}

/** Paints list and explanation. The explanation is a live region, so a change is spoken once. */
export function showSteps(session) {
  const at = position(session);
  const words = explain(session);
  STEPS.forEach((name, step) => {
    const item = byId(`step-${name}`);
    const state = stateOf(step, at);
    item.dataset.state = state;
    setText(item.querySelector(".step-state"), SPOKEN[state]);
    if (state === "current") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  const status = byId("status");
  status.dataset.tone = words.tone;
  status.dataset.status = session.status;
  setText(byId("status-title"), words.title);
  setText(byId("status-detail"), words.detail);
  const seen = ["delivering", "attention"].includes(session.status) && session.delivery.confirmations > 0;
  const count = session.delivery.confirmations;
  setText(byId("status-count"), seen ? `${count} ${count === 1 ? "confirmation" : "confirmations"} so far` : "");
}
