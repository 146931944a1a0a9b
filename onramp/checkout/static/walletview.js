/**
 * The "deliver to" part of the form: wallets that can be connected, and the address field they fill.
 */

import { byId, el, icon, setText } from "./dom.js";
import { markField } from "./notice.js";
import { connect, discover, explained, looksLikeAddress } from "./wallet.js";

export class WalletView {
  #provider = null;
  #onChange;

  /** @param {import("./config.js").Config} config @param {(address: string|null) => void} onChange */
  constructor(config, onChange) {
    this.#onChange = onChange;
    this.input = byId("wallet");
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("blur", () => this.check({ quietWhenEmpty: true }));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      byId("compose").requestSubmit();
    });
    if (config.developmentWallet) this.#offerDevelopment(config.developmentWallet);
    discover((wallet) => this.#offer(wallet));
  }

  /** The wallet the buyer connected, to which MUSD can be added later; null for a pasted address. */
  get provider() {
    return this.#provider;
  }

  get address() {
    const text = this.input.value.trim();
    return looksLikeAddress(text) ? text : null;
  }

  /** Says what is wrong at the field; returns the address or null. */
  check({ quietWhenEmpty = false } = {}) {
    const text = this.input.value.trim();
    if (this.address) markField("wallet", null);
    else if (text || !quietWhenEmpty) {
      const empty = "Connect a wallet, or paste the address that should receive your MUSD.";
      markField("wallet", text ? "An address starts with 0x, followed by 40 digits and letters a to f." : empty);
    }
    return this.address;
  }

  fill(address, provider = null, chosen = null) {
    this.input.value = address;
    this.#choose(provider, chosen);
    markField("wallet", null);
    this.#onChange(this.address);
  }

  #typed() {
    this.input.value = this.input.value.replace(/\s+/g, "");
    this.#choose(null, null);
    if (this.address) markField("wallet", null);
    this.#onChange(this.address);
  }

  #choose(provider, chosen) {
    this.#provider = provider;
    for (const button of byId("wallets").children) button.setAttribute("aria-pressed", String(button === chosen));
  }

  #offer({ name, icon: picture, provider, id }) {
    const image = picture ? el("img", { src: picture, alt: "", width: "20", height: "20" }) : null;
    image?.addEventListener("error", () => image.replaceWith(icon("wallet")));
    const label = el("span", {}, name);
    const attributes = { type: "button", class: "wallet", "aria-pressed": "false", "data-testid": `wallet-${id}` };
    const button = el("button", attributes, image ?? icon("wallet"), label);
    button.addEventListener("click", async () => {
      button.disabled = true;
      setText(label, `Open ${name}…`);
      try {
        this.fill(await connect(provider), provider, button);
      } catch (error) {
        markField("wallet", explained(error));
      } finally {
        button.disabled = false;
        setText(label, name);
      }
    });
    this.#add(button);
  }

  #offerDevelopment(address) {
    const attributes = { type: "button", class: "wallet", "aria-pressed": "false", "data-testid": "wallet-development" };
    const button = el("button", attributes, icon("flask"), el("span", {}, "Use the development wallet"));
    button.addEventListener("click", () => this.fill(address, null, button));
    this.#add(button);
  }

  #add(button) {
    byId("wallets").append(button);
    byId("wallets").hidden = false;
  }
}
