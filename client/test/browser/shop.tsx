/** A dApp's page for tests in a browser: the component as the guide shows it, in React's strict mode. Its settings are in the URL. */

import { type Eip1193, signerOf } from "@onramp/client";
import { BuyButton, BuyMusd, OnrampProvider, PurchaseStatus, useMyPurchases, usePurchase, useWalletLogin } from "@onramp/client/react";
import { nodeAt, verifyDelivery } from "@onramp/client/verify";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const settings = new URLSearchParams(location.search);
const completions: string[] = [];
Object.assign(globalThis, { completions });

/** A node of the buyer's own, over HTTP. */
const node = nodeAt(settings.get("rpc") ?? "");

function Verify() {
  const { now } = usePurchase();
  const [text, setText] = useState("");
  if (now.phase !== "done") return null;
  const verify = async () => {
    const result = await verifyDelivery(now.session, node, { wallet: settings.get("wallet") ?? "" });
    setText(result.verified ? `Verified: ${result.transfer.amount}` : result.detail);
  };
  return (
    <p>
      <button type="button" onClick={verify}>
        Verify
      </button>
      {text}
    </p>
  );
}

/** The purchases of the wallet that the page finds. */
function Mine() {
  const { account, problem, isPending, login, logout } = useWalletLogin();
  const { sessions } = useMyPurchases(account);
  const { ethereum } = globalThis as unknown as { ethereum: Eip1193 };
  return (
    <section aria-label="My purchases">
      <button type="button" disabled={isPending} onClick={async () => (account ? logout() : login(await signerOf(ethereum)))}>
        {account ? "Log out" : "Log in"}
      </button>
      {problem instanceof Error && <p>{problem.message}</p>}
      {sessions.map(({ id }) => (
        <PurchaseStatus key={id} id={id} />
      ))}
    </section>
  );
}

/** The purchase in the page, or behind a button. */
function Purchase() {
  const Component = settings.has("button") ? BuyButton : BuyMusd;
  return <Component walletAddress={settings.get("wallet")} onCompleted={(session) => completions.push(session.id)} />;
}

function Shop() {
  // A parent that renders again must not take down a form in use.
  const [renders, setRenders] = useState(0);
  return (
    <main>
      <h1>Shop</h1>
      <OnrampProvider baseUrl={settings.get("api") ?? ""} locale={settings.get("locale") ?? "en-US"} form={{ appearance: { theme: "light" } }}>
        <Purchase />
        <Verify />
        {settings.has("mine") && <Mine />}
      </OnrampProvider>
      <button type="button" onClick={() => setRenders(renders + 1)}>
        Render again ({renders})
      </button>
    </main>
  );
}

const place = document.getElementById("app");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <Shop />
    </StrictMode>,
  );
}
