/**
 * The place where Stripe's form stands: a skeleton until it is there, and the hosted page as the way around it.
 */

import { byId, setText } from "./dom.js";
import { mountPayment } from "./stripe.js";

const PATIENCE_MS = 15000;

export class PaymentPanel {
  #unmount = null;
  #patience = null;
  #openFor = null;

  /** @param {import("./config.js").Config} config @param {() => void} onHint the form reports a change */
  constructor(config, onHint) {
    this.config = config;
    this.onHint = onHint;
  }

  /** Mounts the form of a session just answered with its client secret. A second call for the same session is nothing. */
  async open(session) {
    if (this.#openFor === session.id) return;
    this.#openFor = session.id;
    this.#state("loading");
    this.#offerHosted(session.redirectUrl);
    this.#patience = setTimeout(() => this.fail("The payment form is taking unusually long."), PATIENCE_MS);
    try {
      const unmount = await mountPayment({
        scripts: this.config.stripeScripts,
        publishableKey: session.publishableKey ?? this.config.publishableKey,
        clientSecret: session.clientSecret,
        element: byId("stripe"),
        onReady: () => this.#ready(),
        onChange: this.onHint,
      });
      if (this.#openFor === session.id) this.#unmount = unmount;
      else unmount();
    } catch (error) {
      if (this.#openFor === session.id) this.fail(`The payment form could not be loaded: ${error.message}.`);
    }
  }

  /** Says why there is no form. A form that arrives later still takes its place. */
  fail(sentence) {
    clearTimeout(this.#patience);
    this.#state("failed");
    const hosted = byId("hosted").hidden ? "" : " You can pay on Stripe's own page instead.";
    setText(byId("stripe-trouble"), sentence + hosted);
  }

  close() {
    clearTimeout(this.#patience);
    this.#unmount?.();
    this.#unmount = null;
    this.#openFor = null;
  }

  #ready() {
    clearTimeout(this.#patience);
    this.#state("ready");
  }

  #state(name) {
    byId("payment").dataset.state = name;
    if (name !== "failed") setText(byId("stripe-trouble"), "");
  }

  #offerHosted(url) {
    const link = byId("hosted");
    const usable = /^https?:\/\//.test(url ?? "");
    link.hidden = !usable;
    if (usable) link.href = url;
    else link.removeAttribute("href");
  }
}
