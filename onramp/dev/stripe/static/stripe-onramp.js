// Stands in for https://crypto-js.stripe.com/crypto-onramp-outer.js: the same calls and events, with the sandbox's page in the frame.
(() => {
  const origin = new URL(document.currentScript.src).origin;

  class OnrampSession {
    #secret;
    #theme;
    #listeners = new Map();
    #frame;

    constructor({ clientSecret, appearance }) {
      if (typeof clientSecret !== "string" || !/^cos_\w+_secret_\w+$/.test(clientSecret)) throw new Error("createSession takes the clientSecret of an onramp session.");
      this.#secret = clientSecret;
      this.#theme = appearance?.theme;
      window.addEventListener("message", this.#heard);
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

    setAppearance(appearance) {
      this.#theme = appearance?.theme;
      if (this.#theme) this.#say({ theme: this.#theme });
      return this;
    }

    mount(target) {
      const element = typeof target === "string" ? document.querySelector(target) : target;
      if (!element) throw new Error("mount takes an element, or the selector of one.");
      this.#frame = document.createElement("iframe");
      this.#frame.src = `${origin}/pay`;
      this.#frame.title = "Card payment";
      this.#frame.setAttribute("height", "620");
      this.#frame.setAttribute("width", "100%");
      this.#frame.setAttribute("frameborder", "0");
      element.replaceChildren(this.#frame);
      return this;
    }

    #say(message) {
      this.#frame?.contentWindow?.postMessage(message, origin);
    }

    #heard = (event) => {
      if (this.#frame && !this.#frame.isConnected) {
        window.removeEventListener("message", this.#heard);
        return;
      }
      if (event.origin !== origin || !this.#frame || event.source !== this.#frame.contentWindow) return;
      const { onramp, session, height } = event.data ?? {};
      if (onramp === "ready") this.#say({ clientSecret: this.#secret, theme: this.#theme });
      if (onramp === "height" && height > 100) this.#frame.setAttribute("height", String(Math.ceil(height)));
      if (onramp === "loaded") this.#emit({ type: "onramp_ui_loaded", payload: {} });
      if (onramp === "session") this.#emit({ type: "onramp_session_updated", payload: { session: { ...session, client_secret: this.#secret } } });
    };

    #emit(event) {
      for (const type of [event.type, "*"]) for (const listener of [...(this.#listeners.get(type) ?? [])]) listener(event);
    }
  }

  window.StripeOnramp = (publishableKey) => {
    if (typeof publishableKey !== "string" || !publishableKey.startsWith("pk_")) throw new Error("StripeOnramp takes a publishable key.");
    return { createSession: (options) => new OnrampSession(options ?? {}) };
  };
})();
