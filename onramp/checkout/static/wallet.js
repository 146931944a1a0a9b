/**
 * Ethereum wallets in the browser: EIP-6963 announcements, the older window.ethereum, and the requests this page makes of them.
 */

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const USER_REFUSED = 4001;

/**
 * A wallet as this page uses it, whatever kind it is.
 * @typedef {object} Wallet
 * @property {string} id unique on this page
 * @property {string} name
 * @property {string|null} icon a data: URL
 * @property {object|null} provider EIP-1193, where the wallet can be asked to list a token
 * @property {boolean} bitcoin its Mezo account is known only once it has logged in
 * @property {() => Promise<string>} address whom the login message names, 0x... or a bitcoin address
 * @property {(text: string) => Promise<string>} sign the text as a person reads it; the signature in the wallet's own form
 */

/** The shape of an address. Its checksum, and whether it may receive, is the service's decision. */
export function looksLikeAddress(text) {
  return ADDRESS.test(text);
}

/** Calls `onFound` with a Wallet for each that announces itself, once each; for one that only sets window.ethereum after a short grace. */
export function discover(onFound) {
  const seen = new Set();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = event.detail ?? {};
    if (!info?.uuid || !provider || seen.has(info.uuid)) return;
    seen.add(info.uuid);
    onFound(ethereum(info.uuid, named(info.name), picture(info.icon), provider));
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(() => {
    if (seen.size === 0 && window.ethereum) {
      seen.add("injected");
      onFound(ethereum("injected", "Browser wallet", null, window.ethereum));
    }
  }, 250);
}

/** @returns {Wallet} */
function ethereum(id, name, icon, provider) {
  const address = () => connect(provider);
  const sign = async (text) => provider.request({ method: "personal_sign", params: [hex(text), await connect(provider)] });
  return { id, name, icon, provider, bitcoin: false, address, sign };
}

/** What a wallet says of itself, kept short. */
export function named(text) {
  return String(text ?? "Wallet").slice(0, 40);
}

export function picture(icon) {
  return String(icon ?? "").startsWith("data:image/") ? icon : null;
}

/** What went wrong in a wallet, as a sentence, and what to do instead. */
export function explained(error, instead = "Paste your address instead.") {
  if (error?.code === USER_REFUSED) return "You declined the request in your wallet.";
  if (error?.code === -32002) return "Your wallet already shows a request. Open it to answer.";
  return `Your wallet did not answer. ${instead}`;
}

/** @returns {Promise<string>} the account the buyer chose to share */
async function connect(provider) {
  const accounts = await provider.request({ method: "eth_requestAccounts" });
  const first = Array.isArray(accounts) ? accounts[0] : null;
  if (!looksLikeAddress(first ?? "")) throw new Error("no account");
  return first;
}

/** Asks the wallet to list MUSD. Tokens are listed by chain, so it is asked to stand on Mezo first. */
export async function watchMusd(provider, { chainId, musdAddress }) {
  await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: `0x${chainId.toString(16)}` }] });
  const options = { address: musdAddress, symbol: "MUSD", decimals: 18 };
  return provider.request({ method: "wallet_watchAsset", params: { type: "ERC20", options } });
}

/** Wallets take the text of personal_sign as hexadecimal bytes. */
function hex(text) {
  return `0x${[...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
