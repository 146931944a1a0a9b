/**
 * Bitcoin wallets in the browser. Each owns a Mezo Passport account, which the service derives from the address it logs in with.
 *
 * UniSat and OKX are found where they stand. Any other is handed over by a script of the page that embeds this one, the way
 * EIP-6963 does it for Ethereum; for a wallet connected through Mezo Passport (wagmi and OrangeKit) that is
 *
 *   const passport = connector.getBitcoinProvider();
 *   const provider = { requestAccounts: async () => [await passport.getAddress()], signMessage: (text) => passport.signMessage(text) };
 *   const detail = { info: { uuid: "passport", name: "Mezo Passport" }, provider };
 *   const announce = () => window.dispatchEvent(new CustomEvent("onramp:announceBitcoinWallet", { detail }));
 *   window.addEventListener("onramp:requestBitcoinWallet", announce);
 *   announce();
 *
 * `signMessage(text, "ecdsa")` answers a BIP-137 signature, in base64 or as 0x and hexadecimal digits.
 */

import { named, picture } from "./wallet.js";

/** Calls `onFound` with a Wallet for each bitcoin wallet, once each. */
export function discoverBitcoin(onFound) {
  const seen = new Set();
  const found = (id, name, icon, provider) => {
    if (seen.has(id)) return;
    seen.add(id);
    onFound(bitcoin(id, name, icon, provider));
  };
  window.addEventListener("onramp:announceBitcoinWallet", (event) => {
    const { info, provider } = event.detail ?? {};
    if (info?.uuid && provider?.signMessage) found(String(info.uuid), named(info.name), picture(info.icon), provider);
  });
  window.dispatchEvent(new Event("onramp:requestBitcoinWallet"));
  if (window.unisat?.signMessage) found("unisat", "UniSat", null, window.unisat);
  if (window.okxwallet?.bitcoin?.signMessage) found("okx-bitcoin", "OKX Bitcoin", null, window.okxwallet.bitcoin);
}

/** @returns {import("./wallet.js").Wallet} */
function bitcoin(id, name, icon, provider) {
  const address = async () => {
    const first = provider.requestAccounts ? (await provider.requestAccounts())[0] : (await provider.connect()).address;
    if (typeof first !== "string" || !first) throw new Error("no account");
    return first;
  };
  return { id, name, icon, provider: null, bitcoin: true, address, sign: (text) => provider.signMessage(text, "ecdsa") };
}
