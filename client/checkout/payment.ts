/** The place where Stripe's form stands: a skeleton until it is there, and Stripe's own page as the way around it. */

import type { Purchase, PurchaseStore } from "../src/phases.js";
import { mountPayment, preloadStripe } from "../src/stripe.js";
import { byId } from "./dom.js";
import type { Page } from "./page.js";

/** Keep the form mounted for a purchase, from now on. */
export function keepPayment({ config, parameters }: Page, purchase: PurchaseStore): void {
  preloadStripe(config.stripeScripts);
  mountPayment(purchase, byId("stripe"), { scripts: config.stripeScripts, appearance: { theme: parameters.theme } });
  byId("retry").addEventListener("click", () => purchase.retry());
}

/** Show the state of Stripe's form. A device that did not begin the purchase has no client secret, so it shows no form. */
export function showPayment(now: Extract<Purchase, { phase: "pay" }>): void {
  const isElsewhere = now.form === "blocked" && !now.payment;
  byId("payment").dataset["state"] = isElsewhere ? "elsewhere" : now.form;
  const hosted = byId<HTMLAnchorElement>("hosted");
  const url = now.payment?.hostedUrl ?? null;
  hosted.hidden = url === null;
  if (url === null) hosted.removeAttribute("href");
  else if (hosted.getAttribute("href") !== url) hosted.href = url;
  byId("retry").hidden = now.form !== "blocked" || isElsewhere;
  byId("cancel").hidden = !now.mayStartOver;
}
