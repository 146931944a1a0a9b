/** The buyer's wallet: connect, add Mezo, and its MUSD. */

import { formatAmount } from "@onramp/client";
import { addMezo, providerOf, watchMusd } from "@onramp/client/wallet";
import { useState } from "react";
import { erc20Abi, type Hex } from "viem";
import { useConnect, useConnection, useConnectors, useDisconnect, useReadContract } from "wagmi";
import { useConfiguration } from "./app";

/** MUSD of the connected wallet in base units; `refetch` reads it again. */
export function useMusd() {
  const { chain, musd } = useConfiguration();
  const { address } = useConnection();
  const query = { enabled: address !== undefined };
  return useReadContract({ chainId: chain.id, address: musd.address as Hex, abi: erc20Abi, functionName: "balanceOf", args: [address ?? "0x"], query });
}

/** Connect a wallet, or show the connected one. */
export function Wallet() {
  const { address } = useConnection();
  const connectors = useConnectors();
  const { mutate: connect, error } = useConnect();
  if (address) return <Connected address={address} />;
  return (
    <section className="card" aria-labelledby="wallet">
      <h2 id="wallet">Your wallet</h2>
      {connectors.length === 0 && <p>No wallet was found in this browser. Install one, such as MetaMask, and load the page again.</p>}
      <ul className="wallets">
        {connectors.map((connector) => (
          <li key={connector.uid}>
            <button type="button" onClick={() => connect({ connector })}>
              {connector.icon && <img src={connector.icon} alt="" width="20" height="20" />}
              {connector.name}
            </button>
          </li>
        ))}
      </ul>
      {error && <p role="alert">{error.message}</p>}
    </section>
  );
}

function Connected({ address }: { address: string }) {
  const { connector, chainId } = useConnection();
  const configuration = useConfiguration();
  const { mutate: disconnect } = useDisconnect();
  const { data: balance } = useMusd();
  const [refusal, setRefusal] = useState<string | null>(null);
  const prepare = async () => {
    setRefusal(null);
    try {
      const provider = await providerOf(connector!);
      await addMezo(provider, configuration);
      await watchMusd(provider, configuration).catch(() => false); // not every wallet lists tokens
    } catch (error) {
      setRefusal(error instanceof Error ? error.message : "The wallet refused.");
    }
  };
  return (
    <section className="card" aria-labelledby="wallet">
      <h2 id="wallet">Your wallet</h2>
      <dl>
        <dt>Address</dt>
        <dd title={address}>
          {address.slice(0, 8)}…{address.slice(-6)}
        </dd>
        <dt>Balance</dt>
        <dd data-testid="balance" aria-live="polite">
          {balance === undefined ? "…" : formatAmount(balance, "MUSD", undefined, configuration.musd.decimals)}
        </dd>
      </dl>
      <p className="row">
        {chainId !== configuration.chain.id && (
          <button type="button" onClick={prepare}>
            Add {configuration.chain.name} to the wallet
          </button>
        )}
        <button type="button" onClick={() => disconnect()}>
          Disconnect
        </button>
      </p>
      {refusal && <p role="alert">{refusal}</p>}
    </section>
  );
}
