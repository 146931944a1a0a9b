/** What the compiler must accept and refuse of React's types, those of 18 and those of 19; this file is never run. */

import type { Session } from "@onramp/client";
import { BuyButton, BuyMusd, OnrampProvider, PurchaseStatus, StripeOnramp, useMyPurchases, usePurchase } from "@onramp/client/react";
import type { ReactElement } from "react";

const amounts: string[] = [];
const completed = (session: Session) => void amounts.push(session.id);

export function Shop({ wallet }: { wallet: `0x${string}` | undefined }): ReactElement {
  const { now } = usePurchase();
  const { sessions } = useMyPurchases(wallet ?? null);
  return (
    <OnrampProvider baseUrl="https://pay.example" form={{ appearance: { theme: "dark" } }}>
      <BuyMusd walletAddress={wallet} reference="order-1" onCompleted={completed}>
        <BuyMusd.Amount />
        <StripeOnramp />
      </BuyMusd>
      <BuyButton walletAddress={wallet} label={<b>Top up</b>} onCompleted={completed} />
      {now.phase === "done" && <p>{now.proof?.amount}</p>}
      {sessions.map(({ id }) => (
        <PurchaseStatus key={id} id={id} />
      ))}
    </OnrampProvider>
  );
}

// @ts-expect-error: who receives the MUSD has to be said, be it that no one is known yet
export const button = <BuyButton />;

// @ts-expect-error: a purchase has an amount that the buyer types
export const fixed = <BuyMusd walletAddress={null} sourceAmount="100" />;
