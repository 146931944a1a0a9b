/**
 * Who is logged in on this page: nobody, or the account of one wallet. The token lives in this page's memory alone and is gone with it.
 */

export class Login {
  #api;
  #token = null;
  #account = null;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.#api = api;
  }

  /** The 0x address that owns the purchases, or null. */
  get account() {
    return this.#account;
  }

  get token() {
    return this.#token;
  }

  /**
   * The wallet signs a message that moves no money.
   * @param {import("./wallet.js").Wallet} wallet
   * @returns {Promise<string>} the account: for a bitcoin wallet the Mezo Passport account that its address owns
   */
  async with(wallet) {
    const { message } = await this.#api.nonce(await wallet.address());
    const { token, address } = await this.#api.login(message, await wallet.sign(message));
    this.#token = token;
    this.#account = address;
    return address;
  }

  forget() {
    this.#token = null;
    this.#account = null;
  }

  /** Ends every token of this wallet; the page forgets its own, whatever the service says. */
  async out() {
    const token = this.#token;
    this.forget();
    if (token) await this.#api.logout(token).catch(() => {});
  }
}
