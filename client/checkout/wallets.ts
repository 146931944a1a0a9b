/** The wallets of this browser, Ethereum and bitcoin, in one form; and the ways into the browsers of wallet apps. */

import { type Eip1193, type Signer, signerOf } from "../src/auth.js";
import { discoverWallets } from "../src/wallet.js";

/** A wallet as the page uses it, whatever its kind. */
export interface Wallet {
  /** Unique on this page. */
  id: string;
  name: string;
  /** A data URL, or null. */
  icon: string | null;
  /** Where it can be asked to list a token; null for a wallet that cannot. */
  provider: Eip1193 | null;
  /** Its Mezo account is known only once it has logged in. */
  isBitcoin: boolean;
  isDevelopment: boolean;
  /** The account that the buyer chooses to share, 0x... or bitcoin. */
  address(): Promise<string>;
  /** Who signs the login. */
  signer(): Promise<Signer>;
}

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
/** Milliseconds after which a wallet that announces nothing is looked for where wallets stood before EIP-6963. */
const GRACE_MS = 250;

/** Return whether a text has the shape of an address. Its checksum, and whether it may receive, is the service's decision. */
export const looksLikeAddress = (text: string): boolean => ADDRESS.test(text);

/** Shorten what a wallet says of itself. */
export const named = (text: unknown): string => String(text ?? "Wallet").slice(0, 40);

/** Return a picture that loads nothing from elsewhere, or null. */
export const picture = (icon: unknown): string | null => (String(icon ?? "").startsWith("data:image/") ? String(icon) : null);

/** Call back once with each Ethereum wallet. `injectedName` names a wallet that has not announced itself; `onNone` is called if no wallet is found. */
export function discoverEthereum(onFound: (wallet: Wallet) => void, injectedName: string, onNone: () => void): void {
  let count = 0;
  const found = (id: string, name: string, icon: string | null, provider: Eip1193) => {
    count += 1;
    onFound({ id, name, icon, provider, isBitcoin: false, isDevelopment: false, address: () => accountOf(provider), signer: () => signerOf(provider) });
  };
  discoverWallets(({ id, name, icon, provider }) => found(id, name, icon, provider));
  setTimeout(() => {
    const { ethereum } = window as { ethereum?: Eip1193 };
    if (count === 0 && ethereum) found("injected", injectedName, null, ethereum);
    else if (count === 0) onNone();
  }, GRACE_MS);
}

async function accountOf(provider: Eip1193): Promise<string> {
  const { address } = await signerOf(provider);
  if (!looksLikeAddress(address)) throw new Error("no account");
  return address;
}

/** Return the links that open this page in the browser of a wallet app, by the documentation of each app. */
export function appLinks(url: string): { name: string; href: string }[] {
  const encoded = encodeURIComponent(url);
  return [
    { name: "MetaMask", href: `https://metamask.app.link/dapp/${url.replace(/^https?:\/\//, "")}` },
    { name: "Coinbase Wallet", href: `https://go.cb-w.com/dapp?cb_url=${encoded}` },
    { name: "Trust Wallet", href: `https://link.trustwallet.com/open_url?coin_id=60&url=${encoded}` },
  ];
}
