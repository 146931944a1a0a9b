// Stands in for https://crypto-js.stripe.com/crypto-onramp-outer.js: the same calls and events, with the sandbox's page in the frame.
(() => {
  const origin = new URL(document.currentScript.src).origin;

  class OnrampSession {
    #secret;
    #listeners = new Map();
    #frame;

    constructor(secret) {
      this.#secret = secret;
    }

    addEventListener(type, listener) {
      if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
      this.#listeners.get(type).add(listener);
      return this;
    }

    removeEventListener(type, listener) {
      this.#listeners.get(type)?.delete(listener);
      return this;
    }

    setAppearance() {
      return this;
    }

    mount(target) {
      const element = typeof target === "string" ? document.querySelector(target) : target;
      this.#frame = document.createElement("iframe");
      this.#frame.src = `${origin}/pay`;
      this.#frame.title = "Card payment";
      this.#frame.allow = "payment";
      this.#frame.setAttribute("height", "460");
      this.#frame.setAttribute("width", "100%");
      this.#frame.setAttribute("frameborder", "0");
      window.addEventListener("message", (event) => this.#heard(event));
      element.replaceChildren(this.#frame);
      return this;
    }

    #heard(event) {
      if (event.origin !== origin || event.source !== this.#frame?.contentWindow) return;
      const { onramp, session } = event.data ?? {};
      if (onramp === "ready") this.#frame.contentWindow.postMessage({ clientSecret: this.#secret }, origin);
      if (onramp === "loaded") this.#emit({ type: "onramp_ui_loaded", payload: {} });
      if (onramp === "session") this.#emit({ type: "onramp_session_updated", payload: { session } });
    }

    #emit(event) {
      for (const type of [event.type, "*"]) for (const listener of this.#listeners.get(type) ?? []) listener(event);
    }
  }

  window.StripeOnramp = (publishableKey) => {
    if (typeof publishableKey !== "string" || !publishableKey.startsWith("pk_")) throw new Error("StripeOnramp takes a publishable key.");
    return { createSession: ({ clientSecret }) => new OnrampSession(clientSecret) };
  };
})();
