/**
 * Wallets in the browser: EIP-6963 announcements, the older window.ethereum, and the requests this page makes of them.
 */

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const USER_REFUSED = 4001;

/** The shape of an address. Its checksum, and whether it may receive, is the service's decision. */
export function looksLikeAddress(text) {
  return ADDRESS.test(text);
}

/**
 * Calls `onFound({name, icon, provider, id})` for each wallet that announces itself, once each; for one that only sets
 * window.ethereum after a short grace.
 */
export function discover(onFound) {
  const seen = new Set();
  window.addEventListener("eip6963:announceProvider", (event) => {
    const { info, provider } = event.detail ?? {};
    if (!info?.uuid || !provider || seen.has(info.uuid)) return;
    seen.add(info.uuid);
    const picture = String(info.icon ?? "").startsWith("data:image/") ? info.icon : null;
    onFound({ id: info.uuid, name: String(info.name ?? "Wallet").slice(0, 40), icon: picture, provider });
  });
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(() => {
    if (seen.size === 0 && window.ethereum) {
      seen.add("injected");
      onFound({ id: "injected", name: "Browser wallet", icon: null, provider: window.ethereum });
    }
  }, 250);
}

/** What went wrong in a wallet, as a sentence. */
export function explained(error) {
  if (error?.code === USER_REFUSED) return "You declined the request in your wallet.";
  if (error?.code === -32002) return "Your wallet already shows a request. Open it to answer.";
  return "Your wallet did not answer. Paste your address instead.";
}

/** @returns {Promise<string>} the account the buyer chose to share */
export async function connect(provider) {
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
