/** What the compiler must accept: wagmi 2 and wagmi 3, as the client takes their accounts, connectors and clients; this file is never run. */

import { type ConfigResponse, type Eip1193, type Session, type Signer, signerOf } from "@onramp/client";
import type { BuyMusdProps } from "@onramp/client/react";
import { type Verification, verifyDelivery } from "@onramp/client/verify";
import { addMezo, providerOf } from "@onramp/client/wallet";
import type { Client, EIP1193Provider, PublicClient, WalletClient } from "viem";
import type { Connector, UseConnectionReturnType } from "wagmi";
import type { Connector as Connector2, GetAccountReturnType } from "wagmi-core-2";

/** `useConnection()` of wagmi 3, `useAccount()` of wagmi 2. */
export const buyers = (three: UseConnectionReturnType, two: GetAccountReturnType): BuyMusdProps[] => [
  { walletAddress: three.address },
  { walletAddress: two.address },
];

export const providers = (three: Connector, two: Connector2): Promise<Eip1193>[] => [providerOf(three), providerOf(two)];

/** A provider, `useWalletClient().data` and `usePublicClient()`, without a conversion. */
export const nodes = (provider: EIP1193Provider, wallet: WalletClient, client: PublicClient, any: Client): Eip1193[] => [provider, wallet, client, any];

export async function verify(session: Session, config: ConfigResponse, connector: Connector, client: PublicClient): Promise<Verification> {
  await addMezo(await providerOf(connector), config);
  return verifyDelivery(session, client);
}

export const signers = (wallet: WalletClient, address: `0x${string}`): (Signer | Promise<Signer>)[] => [
  signerOf(wallet),
  { address, signMessage: (message) => wallet.signMessage({ account: address, message }) },
];

// @ts-expect-error: a connector is asked for its provider first
export const connector = (three: Connector): Eip1193 => three;
