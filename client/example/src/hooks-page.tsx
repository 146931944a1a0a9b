/** The purchase by hooks alone, in markup of its own. This shop sells packages, at prices that its server names. */

import { formatAmount, MUSD_DECIMALS, parseUnits, problemOf } from "@onramp/client";
import type { Create } from "@onramp/client/purchase";
import { OnrampProvider, StripeOnramp, usePurchase, useQuote } from "@onramp/client/react";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useConnection } from "wagmi";
import { onramp, show } from "./app";
import { useMusd, Wallet } from "./wallet";

const PACKAGES = { small: "50", large: "250" };
type Package = keyof typeof PACKAGES;

/** Ask the dApp's own server for the session, which has the API key. `reference` carries the package there, and the order's id back. */
const create: Create = async (body, { idempotencyKey, signal }) => {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...body, idempotencyKey }) };
  const response = await fetch("/api/orders", { ...init, signal: signal ?? null });
  if (!response.ok) throw await problemOf(response);
  return response.json();
};

function Shop() {
  return (
    <OnrampProvider client={onramp} create={create} slot="packages">
      <Wallet />
      <section className="card" aria-labelledby="buy">
        <h2 id="buy">Buy a package</h2>
        <Purchase />
      </section>
    </OnrampProvider>
  );
}

/** One purchase, from the choice to the proof. `mayStartOver` is the store's word on whether another may be offered. */
function Purchase() {
  const { purchase, now } = usePurchase();
  const { refetch } = useMusd();
  useEffect(() => {
    if (now.phase === "done") void refetch();
  }, [now.phase, refetch]);
  const again = now.mayStartOver && (
    <button type="button" onClick={() => void purchase.reset()}>
      Choose again
    </button>
  );
  switch (now.phase) {
    case "compose":
      return <Choice />;
    case "creating":
      return <p role="status">{now.problem ? "This takes longer than usual; nothing was charged." : "Preparing your order…"}</p>;
    case "resuming":
      return <p role="status">Looking for your order…</p>;
    case "pay":
      return (
        <>
          <p role="status">{now.form === "blocked" ? "The payment form is blocked." : "Pay with your card."}</p>
          {now.form === "blocked" && now.payment?.hostedUrl && <a href={now.payment.hostedUrl}>Pay on Stripe's page</a>}
          <StripeOnramp />
          {again}
        </>
      );
    case "track":
      return <p role="status">{now.live === "offline" ? "You are offline; your order goes on." : `Paid. Your order is ${now.session.status}.`}</p>;
    case "done":
      return (
        <>
          <p role="status">{musdOf(now.session.delivery.expectedAmount)} arrived.</p>
          {now.session.reference && <Order reference={now.session.reference} />}
          {again}
        </>
      );
    case "ended":
      return (
        <>
          <p role="status">Nothing was bought: {now.session.status}.</p>
          {again}
        </>
      );
    case "failed":
      return (
        <>
          <p role="alert">{now.problem.message}</p>
          {now.canRetry && (
            <button type="button" onClick={purchase.retry}>
              Try again
            </button>
          )}
          {again}
        </>
      );
  }
}

function Choice() {
  const { address } = useConnection();
  const { purchase } = usePurchase();
  const [item, setItem] = useState<Package>("small");
  const { data: quote } = useQuote({ sourceAmount: PACKAGES[item], sourceCurrency: "usd" });
  const buy = () => address && purchase.start({ walletAddress: address, sourceAmount: PACKAGES[item], sourceCurrency: "usd", reference: item });
  return (
    <>
      <fieldset>
        <legend>Package</legend>
        {Object.entries(PACKAGES).map(([name, price]) => (
          <label key={name}>
            <input type="radio" name="package" checked={item === name} onChange={() => setItem(name as Package)} /> {name}, ${price}
          </label>
        ))}
      </fieldset>
      <p>{quote ? `About ${musdOf(quote.musdAmount)}` : "…"}</p>
      <button type="button" className="primary" disabled={!address} onClick={buy}>
        {address ? "Buy" : "Connect a wallet to buy"}
      </button>
    </>
  );
}

/** What the dApp's server says of the order: it gives the goods out, not this page. */
function Order({ reference }: { reference: string }) {
  const { data } = useQuery({
    queryKey: ["order", reference],
    queryFn: async () => (await fetch(`/api/orders/${encodeURIComponent(reference)}`)).json() as Promise<{ isFulfilled: boolean }>,
    refetchInterval: ({ state }) => (state.data?.isFulfilled ? false : 1000),
  });
  return <p role="status">{data?.isFulfilled ? `Order ${reference} is fulfilled.` : "The shop is looking at your order…"}</p>;
}

const musdOf = (text: string | null) => formatAmount(parseUnits(text ?? "0", MUSD_DECIMALS), "MUSD", undefined, MUSD_DECIMALS);

show("hooks", Shop);
