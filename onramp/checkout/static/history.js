/**
 * One's own purchases: log in by signing a message with the connected wallet, then see and file them.
 */

import { Problem } from "./api.js";
import { byId, el, setText } from "./dom.js";
import { connect, explained } from "./wallet.js";

export class History {
  #token = null;

  /** @param {import("./api.js").Api} api @param {() => object|null} providerOf the wallet in use */
  constructor(api, providerOf) {
    this.api = api;
    this.providerOf = providerOf;
    byId("login").addEventListener("click", () => this.#open());
  }

  async #open() {
    const button = byId("login");
    const provider = this.providerOf();
    if (!provider) return this.#say("Connect a wallet above first: it signs a message, which moves no money.");
    button.disabled = true;
    try {
      if (!this.#token) this.#token = await this.#logIn(provider);
      this.#show((await this.api.history(this.#token)).data);
    } catch (error) {
      this.#token = null;
      this.#say(error instanceof Problem ? error.message : explained(error));
    } finally {
      button.disabled = false;
    }
  }

  async #logIn(provider) {
    const address = await connect(provider);
    const { message } = await this.api.nonce(address);
    this.#say("Sign the message in your wallet.");
    const signature = await provider.request({ method: "personal_sign", params: [hex(message), address] });
    return (await this.api.login(message, signature)).token;
  }

  #show(sessions) {
    this.#say(sessions.length ? "" : "This wallet has no purchases yet.");
    byId("history-list").replaceChildren(...sessions.map((session) => this.#line(session)));
  }

  #line(session) {
    const save = el("button", { type: "button", class: "text-link", "data-testid": "save-pdf" }, "Receipt (PDF)");
    save.addEventListener("click", () => this.#save(session.id));
    const what = `${session.createdAt.slice(0, 10)} · ${session.sourceAmount} ${session.sourceCurrency.toUpperCase()} · ${session.status.replaceAll("_", " ")}`;
    return el("li", { "data-testid": "own-purchase", "data-id": session.id }, el("span", {}, what), " ", save);
  }

  async #save(id) {
    try {
      const url = URL.createObjectURL(await this.api.receiptPdf(id));
      el("a", { href: url, download: `receipt-${id}.pdf` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#say(error.message);
    }
  }

  #say(text) {
    setText(byId("history-note"), text);
  }
}

/** Wallets take the text of personal_sign as hexadecimal bytes. */
function hex(text) {
  return `0x${[...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
