/**
 * The "deliver to" part of the form: wallets that can be connected, and the address field they fill.
 */

import { Problem } from "./api.js";
import { discoverBitcoin } from "./bitcoin.js";
import { byId, el, icon, setText } from "./dom.js";
import { markField } from "./notice.js";
import { discover, explained, looksLikeAddress } from "./wallet.js";

export class WalletView {
  #chosen = null;
  #found = [];
  #login;
  #onChange;

  /**
   * @param {import("./config.js").Config} config
   * @param {import("./login.js").Login} login
   * @param {(address: string|null) => void} onChange
   */
  constructor(config, login, onChange) {
    this.#login = login;
    this.#onChange = onChange;
    this.input = byId("wallet");
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("blur", () => this.check({ quietWhenEmpty: true }));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      byId("compose").requestSubmit();
    });
    discover((wallet) => this.#offer(wallet));
    discoverBitcoin((wallet) => this.#offer(wallet));
    if (config.developmentWallet) this.#offerDevelopment();
  }

  /** The wallet the buyer connected; null for a pasted address. */
  get chosen() {
    return this.#chosen;
  }

  /** Its provider, to which MUSD can be added later; null for a pasted address, and for a wallet that lists no tokens. */
  get provider() {
    return this.#chosen?.provider ?? null;
  }

  /** Every wallet that was found in this browser. */
  get found() {
    return [...this.#found];
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

  fill(address, wallet = null) {
    this.input.value = address;
    this.#choose(wallet);
    markField("wallet", null);
    this.#onChange(this.address);
  }

  #typed() {
    this.input.value = this.input.value.replace(/\s+/g, "");
    this.#choose(null);
    if (this.address) markField("wallet", null);
    this.#onChange(this.address);
  }

  #choose(wallet) {
    this.#chosen = wallet;
    for (const button of byId("wallets").children) button.setAttribute("aria-pressed", String(button.dataset.wallet === wallet?.id));
  }

  #offer(wallet) {
    this.#found.push(wallet);
    const { id, name, icon: picture } = wallet;
    const symbol = () => icon(wallet.development ? "flask" : "wallet");
    const image = picture ? el("img", { src: picture, alt: "", width: "20", height: "20" }) : null;
    image?.addEventListener("error", () => image.replaceWith(symbol()));
    const label = el("span", {}, name);
    const attributes = { type: "button", class: "wallet", "aria-pressed": "false", "data-wallet": id, "data-testid": `wallet-${id}` };
    const button = el("button", attributes, image ?? symbol(), label);
    button.addEventListener("click", () => this.#connect(wallet, button, label));
    byId("wallets").append(button);
    byId("wallets").hidden = false;
  }

  /** A bitcoin wallet logs in at once: only its signature says which account on Mezo is its own. */
  async #connect(wallet, button, label) {
    button.disabled = true;
    setText(label, `Open ${wallet.name}…`);
    try {
      this.fill(wallet.bitcoin ? await this.#login.with(wallet) : await wallet.address(), wallet);
    } catch (error) {
      markField("wallet", error instanceof Problem ? error.message : explained(error));
    } finally {
      button.disabled = false;
      setText(label, wallet.name);
    }
  }

  async #offerDevelopment() {
    const { developmentWallets } = await import("./development.js");
    for (const wallet of developmentWallets) this.#offer(wallet);
  }
}
