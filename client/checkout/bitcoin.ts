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

import { named, picture, type Wallet } from "./wallets.js";

interface BitcoinProvider {
  requestAccounts?(): Promise<unknown[]>;
  connect?(): Promise<{ address?: unknown }>;
  signMessage(text: string, kind: "ecdsa"): Promise<string>;
}

/** Call back with each bitcoin wallet once. */
export function discoverBitcoin(onFound: (wallet: Wallet) => void): void {
  const seen = new Set<string>();
  const found = (id: string, name: string, icon: string | null, provider: BitcoinProvider) => {
    if (seen.has(id)) return;
    seen.add(id);
    onFound(bitcoin(id, name, icon, provider));
  };
  window.addEventListener("onramp:announceBitcoinWallet", (event) => {
    const { info, provider } = (event as CustomEvent).detail ?? {};
    if (info?.uuid && provider?.signMessage) found(String(info.uuid), named(info.name), picture(info.icon), provider);
  });
  window.dispatchEvent(new Event("onramp:requestBitcoinWallet"));
  const { unisat, okxwallet } = window as unknown as { unisat?: BitcoinProvider; okxwallet?: { bitcoin?: BitcoinProvider } };
  if (unisat) found("unisat", "UniSat", null, unisat);
  if (okxwallet?.bitcoin) found("okx-bitcoin", "OKX Bitcoin", null, okxwallet.bitcoin);
}

function bitcoin(id: string, name: string, icon: string | null, provider: BitcoinProvider): Wallet {
  const address = async () => {
    const first = provider.requestAccounts ? (await provider.requestAccounts())[0] : (await provider.connect?.())?.address;
    if (typeof first !== "string" || !first) throw new Error("no account");
    return first;
  };
  const signer = async () => ({ address: await address(), signMessage: (text: string) => provider.signMessage(text, "ecdsa") });
  return { id, name, icon, provider: null, isBitcoin: true, isDevelopment: false, address, signer };
}
