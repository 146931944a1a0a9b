/** Wallets in the browser by their standards alone: found by EIP-6963, asked by EIP-1193. Any wallet library's provider fits as well. */

import type { Eip1193 } from "./auth.js";
import type { ConfigResponse } from "./schema.js";

/** A wallet that announced itself. Its name and icon are its own words. */
export interface FoundWallet {
  id: string;
  name: string;
  /** A data URL, or null. */
  icon: string | null;
  provider: Eip1193;
}

/** The wallet does not know the chain (EIP-3085). */
const UNKNOWN_CHAIN = 4902;
const MAX_NAME = 40;

/** Call back with each wallet once, also with one that announces itself later; return a function that ends this. */
export function discoverWallets(onFound: (wallet: FoundWallet) => void): () => void {
  const seen = new Set<string>();
  const announced = (event: Event) => {
    const { info, provider } = (event as CustomEvent).detail ?? {};
    if (typeof info?.uuid !== "string" || typeof provider?.request !== "function" || seen.has(info.uuid)) return;
    seen.add(info.uuid);
    const icon = String(info.icon ?? "");
    const name = String(info.name ?? "Wallet").slice(0, MAX_NAME);
    onFound({ id: info.uuid, name, icon: icon.startsWith("data:image/") ? icon : null, provider });
  };
  globalThis.addEventListener("eip6963:announceProvider", announced);
  globalThis.dispatchEvent(new Event("eip6963:requestProvider"));
  return () => globalThis.removeEventListener("eip6963:announceProvider", announced);
}

/** Put the wallet on Mezo, and add the chain first if it does not know it. Throws what the wallet throws, such as 4001 for a refusal. */
export async function addMezo(provider: Eip1193, { chain }: Pick<ConfigResponse, "chain">): Promise<void> {
  const chainId = `0x${chain.id.toString(16)}`;
  const useIt = () => provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId }] });
  try {
    await useIt();
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== UNKNOWN_CHAIN) throw error;
    const added = {
      chainId,
      chainName: chain.name,
      nativeCurrency: { name: "Bitcoin", symbol: "BTC", decimals: 18 },
      rpcUrls: chain.rpcUrls,
      ...(chain.explorerUrl && { blockExplorerUrls: [chain.explorerUrl] }),
    };
    await provider.request({ method: "wallet_addEthereumChain", params: [added] });
    // A wallet may add a chain without moving to it.
    await useIt();
  }
}

/** Ask the wallet to list MUSD; return whether it does. Tokens are listed by chain, so put the wallet on Mezo first. */
export async function watchMusd(provider: Eip1193, { musd }: Pick<ConfigResponse, "musd">): Promise<boolean> {
  const options = { address: musd.address, symbol: "MUSD", decimals: musd.decimals };
  return (await provider.request({ method: "wallet_watchAsset", params: { type: "ERC20", options } })) === true;
}

/** Return the provider of a wagmi connector, of wagmi 2 or 3. Throws if it has none that speaks EIP-1193. */
export async function providerOf(connector: { getProvider(): Promise<unknown> }): Promise<Eip1193> {
  const provider = await connector.getProvider();
  if (typeof (provider as Partial<Eip1193> | null)?.request !== "function") throw new Error("The wallet has no provider that can be asked.");
  return provider as Eip1193;
}
