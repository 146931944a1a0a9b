/** The purchase by components: <BuyMusd>, and a <PurchaseStatus> for each purchase of the wallet. */

import { type Session, signerOf } from "@onramp/client";
import { BuyMusd, OnrampProvider, PurchaseStatus, useDelivery, useMyPurchases, usePurchase, useWalletLogin } from "@onramp/client/react";
import "@onramp/client/styles.css";
import { verifyDelivery } from "@onramp/client/verify";
import { providerOf } from "@onramp/client/wallet";
import { useEffect, useState } from "react";
import { useConnection } from "wagmi";
import { onramp, show } from "./app";
import { useMusd, Wallet } from "./wallet";

function Shop() {
  const { address } = useConnection();
  const { refetch } = useMusd();
  return (
    <OnrampProvider client={onramp}>
      <Wallet />
      <section className="card" aria-labelledby="buy">
        <h2 id="buy">Buy MUSD</h2>
        <BuyMusd walletAddress={address} onCompleted={() => void refetch()} />
      </section>
      {address && <Purchases key={address} />}
    </OnrampProvider>
  );
}

/** The wallet's purchases, for the person who can sign with it. */
function Purchases() {
  const { connector } = useConnection();
  const { account, problem, isPending, login, logout } = useWalletLogin();
  const { sessions, hasMore, more, refresh } = useMyPurchases(account);
  const { now } = usePurchase();
  // A purchase that begins or ends on this page changes the list.
  useEffect(refresh, [now.phase, refresh]);
  return (
    <section className="card" aria-labelledby="mine">
      <h2 id="mine">My purchases</h2>
      <p className="row">
        <button type="button" disabled={isPending} onClick={async () => (account ? logout() : login(await signerOf(await providerOf(connector!))))}>
          {account ? "Log out" : "Log in with the wallet"}
        </button>
      </p>
      {problem instanceof Error && <p role="alert">{problem.message}</p>}
      <ol className="purchases">
        {sessions.map((session) => (
          <Row key={session.id} session={session} />
        ))}
      </ol>
      {account && sessions.length === 0 && <p>Nothing bought yet.</p>}
      {hasMore && (
        <button type="button" onClick={more}>
          Show more
        </button>
      )}
    </section>
  );
}

function Row({ session }: { session: Session }) {
  return (
    <li>
      <p className="when">{new Date(session.createdAt).toLocaleString()}</p>
      <PurchaseStatus id={session.id} />
      {session.status === "completed" && <Verify session={session} />}
    </li>
  );
}

/** Ask the wallet's own node for the transfer: it need not believe the service. */
function Verify({ session }: { session: Session }) {
  const { address, connector } = useConnection();
  const { data: proof } = useDelivery(session.id);
  const [result, setResult] = useState("");
  const verify = async () => {
    setResult("Asking your wallet's node…");
    const options = { ...(address && { wallet: address }), ...(proof?.logIndex != null && { logIndex: proof.logIndex }) };
    const verification = await verifyDelivery(session, await providerOf(connector!), options);
    setResult(
      verification.verified
        ? `Your wallet's node shows the transfer, with ${verification.transfer.confirmations} confirmations.`
        : verification.reason === "wrong_chain"
          ? "Your wallet is on another chain: add Mezo to it above, and try again."
          : verification.detail,
    );
  };
  return (
    <div className="row">
      <button type="button" onClick={verify}>
        Verify
      </button>
      <span role="status">{result}</span>
    </div>
  );
}

show("", Shop);
