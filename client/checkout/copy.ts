/** A button that copies a text. */

import { el, icon } from "./dom.js";
import type { Page } from "./page.js";

const SAID_MS = 2000;

/** Make a button that copies `text`, which is named `what`, and says so for two seconds. */
export function copyButton({ say }: Page, text: string, what: string): HTMLButtonElement {
  const label = el("span", { class: "visually-hidden", "aria-live": "polite" }, say("copy", { what }));
  const button = el("button", { type: "button", class: "copy", title: say("copy", { what }) }, icon("copy"), label);
  button.addEventListener("click", async () => {
    const isCopied = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    button.dataset["copied"] = isCopied ? "yes" : "no";
    button.replaceChildren(icon(isCopied ? "check" : "copy"), label);
    label.textContent = isCopied ? say("copied", { what }) : say("copy_failed");
    setTimeout(() => {
      delete button.dataset["copied"];
      button.replaceChildren(icon("copy"), label);
      label.textContent = say("copy", { what });
    }, SAID_MS);
  });
  return button;
}
