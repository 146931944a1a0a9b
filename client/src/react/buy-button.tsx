"use client";

/** A purchase behind a button. The buyer may close its dialog at any time; the purchase goes on, and the button leads back to it. */

import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { BuyMusd, type BuyMusdProps, isComposing, useCompletion } from "./components.js";
import { usePurchase } from "./hooks.js";
import { useShared } from "./provider.js";

/** As for <BuyMusd>, and what the button says. */
export interface BuyButtonProps extends BuyMusdProps {
  /** By default the words for "Buy MUSD"; while a purchase goes on, the button says so instead. */
  label?: ReactNode;
}

/** A button that opens the purchase in a dialog. */
export function BuyButton({ label, onCompleted, ...purchaseProps }: BuyButtonProps) {
  const { words } = useShared();
  const { purchase, now } = usePurchase();
  // The purchase stays in the closed dialog, because Stripe's form may be at work in it.
  const [openings, setOpenings] = useState(0);
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useRef<HTMLHeadingElement>(null);
  const titleId = useId();
  // Here, and not in <BuyMusd>: a purchase that ends while the dialog was never opened is reported, too.
  useCompletion(purchase, now, onCompleted);

  useEffect(() => {
    // The browser moves the focus to what comes first in the dialog, keeps it there, and gives it back to the button at the end.
    if (openings > 0 && !dialog.current?.open) dialog.current?.showModal();
  }, [openings]);

  useEffect(() => {
    // What had the focus may have gone with the last phase.
    if (dialog.current?.open && !dialog.current.contains(document.activeElement)) title.current?.focus();
  }, [now.phase]);

  const isBegun = !isComposing(now);
  const onClose = () => {
    const isSeen = now.phase === "ended" || (now.phase === "done" && now.proof !== null);
    if (isSeen) void purchase.reset();
  };
  return (
    <div className="onramp onramp-button">
      <button type="button" className="onramp-pay" aria-haspopup="dialog" onClick={() => setOpenings((before) => before + 1)}>
        {isBegun ? words.your_purchase : (label ?? words.pay)}
      </button>
      <dialog ref={dialog} className="onramp-dialog" aria-labelledby={titleId} onClose={onClose}>
        <h2 ref={title} id={titleId} {...(isBegun && { tabIndex: -1 })}>
          {isBegun ? words.your_purchase : words.pay}
        </h2>
        {openings > 0 && <BuyMusd {...purchaseProps} />}
        <button type="button" className="onramp-close" onClick={() => dialog.current?.close()}>
          {words.close}
        </button>
      </dialog>
    </div>
  );
}
