"use client";

/** A purchase as components: use <BuyMusd> whole, put its parts in an order of your own, or write others with the hooks. */

import { createContext, type ReactNode, useContext, useEffect, useId, useRef, useState } from "react";
import { formatAmount, MUSD_DECIMALS, parseAmount, parseUnits, type TypedAmount } from "../money.js";
import type { Purchase, PurchaseStore } from "../phases.js";
import type { CreateSession, Proof } from "../schema.js";
import type { Session } from "../status.js";
import { mountPayment } from "../stripe.js";
import { fill, wordsOf } from "./sentences.js";
import { useOnrampConfig, usePurchase, useQuote, useSession } from "./hooks.js";
import { useShared } from "./provider.js";

/** What is bought, and for whom. */
export interface BuyMusdProps extends Partial<Omit<CreateSession, "walletAddress" | "sourceAmount">> {
  /** The wallet that receives the MUSD; without one the button is not offered. */
  walletAddress: string | null | undefined;
  /** What the amount field holds at first. */
  defaultAmount?: string;
  onCompleted?: (session: Session, proof: Proof) => void;
  /** The parts in another order; by default all of them. */
  children?: ReactNode;
}

interface Form {
  text: string;
  setText: (text: string) => void;
  amount: TypedAmount;
  /** What the service sells at least and at most, as its configuration says; null until it has answered. */
  limits: { min: string; max: string } | null;
  isPaused: boolean;
  currency: string;
  wallet: string | null;
  start: () => void;
}

const FormContext = createContext<Form | null>(null);

function useForm(): Form {
  const form = useContext(FormContext);
  if (!form) throw new Error("Put the parts of <BuyMusd> inside it.");
  return form;
}

/** Sell MUSD: amount, estimate, payment, progress and proof. */
export function BuyMusd({ walletAddress, sourceCurrency = "usd", defaultAmount = "100", onCompleted, children, ...more }: BuyMusdProps) {
  const { locale } = useShared();
  const { purchase, now } = usePurchase();
  const [text, setText] = useState(defaultAmount);
  const amount = parseAmount(text, locale);
  const { data: config } = useOnrampConfig();
  const limits = config?.limits[sourceCurrency] ?? null;
  const isPaused = config?.salesPaused ?? false;
  const wallet = walletAddress ?? null;
  useCompletion(purchase, now, onCompleted);
  const start = () => {
    if (amount.ok && wallet) void purchase.start({ ...more, walletAddress: wallet, sourceAmount: amount.text, sourceCurrency });
  };
  const form = { text, setText, amount, limits, isPaused, currency: sourceCurrency, wallet, start };
  return (
    <FormContext.Provider value={form}>
      <section className="onramp" data-phase={now.phase}>
        {children ?? (
          <>
            <Amount />
            <Quote />
            <Pay />
            <Progress />
            <Payment />
            <Actions />
          </>
        )}
      </section>
    </FormContext.Provider>
  );
}

/** Call back when the MUSD has arrived and the proof is there: once for each purchase, in one tab, also after a reload. */
export function useCompletion(purchase: PurchaseStore, now: Purchase, onCompleted: BuyMusdProps["onCompleted"]): void {
  useEffect(() => {
    if (!onCompleted || now.phase !== "done" || !now.proof) return;
    const { session, proof } = now;
    void purchase.takeCompletion().then((isMine) => isMine && onCompleted(session, proof));
  }, [purchase, now, onCompleted]);
}

/** Whether the amount is one that the service does not sell. */
function isOutside({ amount, limits }: Form): boolean {
  return amount.ok && limits !== null && (amount.units < parseUnits(limits.min, 2) || amount.units > parseUnits(limits.max, 2));
}

/** Whether the buyer still chooses: nothing was begun, or it was refused. */
export const isComposing = (now: Purchase) => now.phase === "compose" || now.phase === "failed";

/** The field for the amount; an unclear amount is asked about below it. */
function Amount() {
  const { words, locale } = useShared();
  const form = useForm();
  const { text, setText, amount, currency, limits } = form;
  const { now } = usePurchase();
  const id = useId();
  if (!isComposing(now)) return null;
  const example = formatAmount(9950n, currency, locale);
  const shown = (reading: string) => formatAmount(parseUnits(reading, 2), currency, locale);
  const range = { min: shown(limits?.min ?? "0"), max: shown(limits?.max ?? "0") };
  const readings = !amount.ok && amount.reason === "ambiguous" ? amount.readings.map(shown).join(" / ") : "";
  const unclear = amount.ok || amount.reason === "incomplete" ? null : fill(words[`amount_${amount.reason}`], { example, readings });
  const error = isOutside(form) ? fill(words.amount_range, range) : unclear;
  return (
    <p className="onramp-field">
      <label htmlFor={id}>
        {words.amount} ({currency.toUpperCase()})
      </label>
      <input
        id={id}
        inputMode="decimal"
        autoComplete="off"
        value={text}
        aria-invalid={error !== null}
        aria-describedby={`${id}-error`}
        onChange={(event) => setText(event.target.value)}
      />
      <span id={`${id}-error`} className="onramp-error" role="status">
        {error}
      </span>
    </p>
  );
}

/** What the buyer would receive. */
function Quote() {
  const { words, locale } = useShared();
  const { amount, currency } = useForm();
  const { now } = usePurchase();
  const query = isComposing(now) && amount.ok ? { sourceAmount: amount.text, sourceCurrency: currency } : null;
  const { data, problem } = useQuote(query);
  if (!query || (!data && !problem)) return null;
  if (!data) return <p className="onramp-error">{problem?.message}</p>;
  const musd = formatAmount(parseUnits(data.musdAmount, MUSD_DECIMALS), "MUSD", locale, MUSD_DECIMALS);
  const total = formatAmount(parseUnits(data.total, 2), currency, locale);
  return <p className="onramp-quote">{fill(words.quote, { musd, total })}</p>;
}

/** The button that begins the purchase. */
function Pay() {
  const { words } = useShared();
  const form = useForm();
  const { amount, wallet, start } = form;
  const { now } = usePurchase();
  if (!isComposing(now)) return null;
  if (form.isPaused) return <p className="onramp-hint">{words.paused}</p>;
  if (!wallet) return <p className="onramp-hint">{words.wallet_missing}</p>;
  return (
    <button type="button" className="onramp-pay" disabled={!amount.ok || isOutside(form)} onClick={start}>
      {words.pay}
    </button>
  );
}

/** Stripe's form, and the way around it if it cannot be shown. */
function Payment() {
  const { words } = useShared();
  const { now } = usePurchase();
  const hosted = now.phase === "pay" && now.form === "blocked" ? now.payment?.hostedUrl : null;
  return (
    <>
      {hosted && (
        <a className="onramp-hosted" href={hosted}>
          {words.form_hosted}
        </a>
      )}
      <StripeOnramp />
    </>
  );
}

/** The place of Stripe's form for the provider's purchase. */
export function StripeOnramp() {
  const { purchase, form } = useShared();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => (place.current ? mountPayment(purchase, place.current, form) : undefined), [purchase, form]);
  return <div ref={place} className="onramp-form" />;
}

/** What happens now, in a sentence that says whether money moved. */
function Progress() {
  const { words, locale } = useShared();
  const { now } = usePurchase();
  const live = "live" in now ? now.live : null;
  return (
    <div className="onramp-progress" role="status">
      <p>{wordsOf(now, words, locale)}</p>
      {live === "offline" && <p className="onramp-hint">{words.offline}</p>}
      {now.phase === "done" && now.proof?.explorerUrl && (
        <a href={now.proof.explorerUrl} rel="noreferrer" target="_blank">
          {words.proof}
        </a>
      )}
    </div>
  );
}

/** Try again, and start over: each only where it is safe. */
function Actions() {
  const { words } = useShared();
  const { purchase, now } = usePurchase();
  const canRetry = now.phase === "failed" && now.canRetry;
  return (
    <p className="onramp-actions">
      {canRetry && (
        <button type="button" onClick={purchase.retry}>
          {words.try_again}
        </button>
      )}
      {now.mayStartOver && !isComposing(now) && (
        <button type="button" onClick={() => void purchase.reset()}>
          {words.start_over}
        </button>
      )}
    </p>
  );
}

BuyMusd.Amount = Amount;
BuyMusd.Quote = Quote;
BuyMusd.Pay = Pay;
BuyMusd.Payment = Payment;
BuyMusd.Progress = Progress;
BuyMusd.Actions = Actions;

/** Any purchase by its id, live, in a sentence. */
export function PurchaseStatus({ id }: { id: string }) {
  const { words, locale } = useShared();
  const { session, live, problem } = useSession(id);
  if (problem) return <p className="onramp-error">{problem.message}</p>;
  const ofSession = (known: Session) => (known.status === "awaiting_payment" ? words.form_elsewhere : wordsOf({ phase: "track", session: known }, words, locale));
  const sentence = session ? ofSession(session) : words.resuming;
  return (
    <div className="onramp-progress" role="status">
      <p>{sentence}</p>
      {live === "offline" && <p className="onramp-hint">{words.offline}</p>}
    </div>
  );
}
