/**
 * A wallet for development, announced as a browser extension announces itself (EIP-6963). Its key is public, so it must never hold anything:
 * it is the last account that hardhat and anvil print when they start. It is loaded only if the service says that it is in development.
 */

import type { ConfigResponse } from "@onramp/client";
import { nodeAt } from "@onramp/client/verify";
import type { Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const account = privateKeyToAccount("0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356");
const ICON = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#777"/></svg>')}`;
const ETHEREUM = "0x1";
/** What it remembers until the tab is closed. */
const CHAIN = "development-wallet.chain";
const PERMISSION = "development-wallet.permission";

interface Call {
  method: string;
  params?: any;
}

/** Announce the wallet, now and whenever a page asks for wallets. */
export function announce({ chain: mezo }: ConfigResponse): void {
  // It starts on another chain and without Mezo, as a buyer's wallet does.
  const nodes = new Map<string, string | undefined>([[ETHEREUM, undefined]]);
  const listeners = new Map<string, Set<(value: unknown) => void>>();
  let chainId = sessionStorage.getItem(CHAIN) ?? ETHEREUM;
  if (chainId !== ETHEREUM) nodes.set(chainId, mezo.rpcUrls[0]);

  function nodeOf(chain: string) {
    const url = nodes.get(chain);
    if (!url) throw new Error("This wallet has no node on its chain.");
    return nodeAt(url);
  }

  async function request({ method, params }: Call): Promise<unknown> {
    switch (method) {
      case "eth_requestAccounts":
        sessionStorage.setItem(PERMISSION, "yes");
        return [account.address];
      case "eth_accounts":
        return sessionStorage.getItem(PERMISSION) ? [account.address] : [];
      case "eth_chainId":
        return chainId;
      case "personal_sign":
        return account.signMessage({ message: { raw: params[0] as Hex } });
      case "wallet_addEthereumChain":
        nodes.set(params[0].chainId, params[0].rpcUrls[0]);
        return null;
      case "wallet_switchEthereumChain": {
        const asked: string = params[0].chainId;
        if (!nodes.has(asked)) throw Object.assign(new Error("This wallet does not know the chain."), { code: 4902 });
        chainId = asked;
        sessionStorage.setItem(CHAIN, chainId);
        for (const listener of listeners.get("chainChanged") ?? []) listener(chainId);
        return null;
      }
      default:
        return nodeOf(chainId).request({ method, params: params ?? [] });
    }
  }

  const on = (event: string, listener: (value: unknown) => void) => void listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
  const removeListener = (event: string, listener: (value: unknown) => void) => void listeners.get(event)?.delete(listener);
  const info = { uuid: "5f0c5c56-5d5b-4c0c-9f0e-0a1d2a3b4c5d", name: "Development wallet", icon: ICON, rdns: "org.onramp.development" };
  const detail = Object.freeze({ info, provider: { request, on, removeListener } });
  const answer = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  addEventListener("eip6963:requestProvider", answer);
  answer();
}
