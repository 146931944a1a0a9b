/** The "deliver to" part of the form: wallets that can be connected, links into wallet apps, and the address field. */

import type { Eip1193 } from "../src/auth.js";
import { discoverBitcoin } from "./bitcoin.js";
import { byId, el, icon, setText } from "./dom.js";
import { loadDevelopment } from "./loading.js";
import { markField } from "./notice.js";
import type { Page } from "./page.js";
import { appLinks, discoverEthereum, looksLikeAddress, type Wallet } from "./wallets.js";

export class Recipient {
  readonly wallets: Wallet[] = [];
  #page: Page;
  #chosen: Wallet | null = null;
  #onChange: (address: string | null) => void;
  #input = byId<HTMLTextAreaElement>("wallet");

  constructor(page: Page, onChange: (address: string | null) => void) {
    this.#page = page;
    this.#onChange = onChange;
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("blur", () => this.check({ isQuietWhenEmpty: true }));
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      byId<HTMLFormElement>("compose").requestSubmit();
    });
    discoverEthereum((wallet) => this.#offer(wallet), page.words.wallet_name, () => this.#offerApps());
    discoverBitcoin((wallet) => this.#offer(wallet));
    if (page.config.developmentWallet) void this.#offerDevelopment();
  }

  /** The wallet that the buyer connected; null for a pasted address. */
  get chosen(): Wallet | null {
    return this.#chosen;
  }

  /** The provider of the connected wallet, else of one that stands in this browser. */
  get provider(): Eip1193 | null {
    return this.#chosen?.provider ?? this.wallets.find((wallet) => wallet.provider)?.provider ?? null;
  }

  get address(): string | null {
    const text = this.#input.value.trim();
    return looksLikeAddress(text) ? text : null;
  }

  /** Say what is wrong at the field; return the address, or null. */
  check({ isQuietWhenEmpty = false } = {}): string | null {
    const text = this.#input.value.trim();
    const { words } = this.#page;
    if (this.address) markField("wallet", null);
    else if (text || !isQuietWhenEmpty) markField("wallet", text ? words.wallet_shape : words.wallet_empty);
    return this.address;
  }

  /** Put an address into the field, of a wallet if one was connected. */
  fill(address: string, wallet: Wallet | null = null): void {
    this.#input.value = address;
    this.#choose(wallet);
    markField("wallet", null);
    this.#onChange(this.address);
  }

  #typed(): void {
    this.#input.value = this.#input.value.replace(/\s+/g, "");
    this.#choose(null);
    if (this.address) markField("wallet", null);
    this.#onChange(this.address);
  }

  #choose(wallet: Wallet | null): void {
    this.#chosen = wallet;
    for (const button of byId("wallets").querySelectorAll<HTMLElement>("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["wallet"] === wallet?.id));
    }
  }

  #offer(wallet: Wallet): void {
    this.wallets.push(wallet);
    const symbol = () => icon(wallet.isDevelopment ? "flask" : "wallet");
    const image = wallet.icon ? el("img", { src: wallet.icon, alt: "", width: "20", height: "20" }) : null;
    image?.addEventListener("error", () => image.replaceWith(symbol()));
    const label = el("span", {}, wallet.name);
    const attributes = { type: "button", class: "wallet", "aria-pressed": "false", "data-wallet": wallet.id, "data-testid": `wallet-${wallet.id}` };
    const button = el("button", attributes, image ?? symbol(), label);
    button.addEventListener("click", () => void this.#connect(wallet, button, label));
    byId("wallets").append(button);
    byId("wallets").hidden = false;
    if (!wallet.isDevelopment) byId("wallet-apps").hidden = true;
  }

  /** A bitcoin wallet logs in at once: only its signature says which account on Mezo is its own. */
  async #connect(wallet: Wallet, button: HTMLButtonElement, label: Element): Promise<void> {
    const { onramp, say } = this.#page;
    button.disabled = true;
    setText(label, say("wallet_open", { name: wallet.name }));
    try {
      const address = wallet.isBitcoin ? (await onramp.auth.login(await wallet.signer())).address : await wallet.address();
      this.fill(address, wallet);
    } catch (error) {
      markField("wallet", this.#page.explain(error, "wallet_silent"));
    } finally {
      button.disabled = false;
      setText(label, wallet.name);
    }
  }

  /** On a phone whose browser has no wallet, the wallet's own app has a browser that has one. */
  #offerApps(): void {
    if (this.wallets.some((wallet) => !wallet.isDevelopment) || !matchMedia("(pointer: coarse)").matches) return;
    const links = appLinks(location.href).map(({ name, href }) => el("a", { class: "text-link", href, rel: "noopener noreferrer" }, name));
    byId("wallet-apps-links").replaceChildren(...links);
    byId("wallet-apps").hidden = false;
  }

  async #offerDevelopment(): Promise<void> {
    const { developmentWallets } = await loadDevelopment();
    for (const wallet of developmentWallets) this.#offer(wallet);
  }
}
