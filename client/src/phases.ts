/** The phases of a purchase, and the actions of the store that goes through them. */

import type { CreateOptions, Onramp } from "./client.js";
import type { Live } from "./follow.js";
import type { OnrampProblem } from "./problem.js";
import type { KeyValue } from "./record.js";
import type { CreatedSession, CreateSession, Proof } from "./schema.js";
import type { Session } from "./status.js";

/** How far Stripe's form is: `blocked` if it cannot be shown, so that the hosted page is the way to pay. */
export type PaymentForm = "loading" | "ready" | "blocked";

/** What the buyer sees. `mayStartOver`: another purchase may be offered now. */
export type Purchase = Readonly<
  { mayStartOver: boolean } & (
    | { phase: "compose" }
    /** Asking the service for a session; `problem` says why it is asked again. */
    | { phase: "creating"; problem: OnrampProblem | null }
    /** Looking up a purchase that was begun before; its state is not known yet. */
    | { phase: "resuming"; id: string; live: Live | null }
    /** Not paid. `payment` is null while it is fetched, and on a device that did not begin the purchase. */
    | { phase: "pay"; session: Session; payment: Payment | null; form: PaymentForm; live: Live | null }
    /** Paid, or perhaps paid: nothing to do but wait. */
    | { phase: "track"; session: Session; live: Live | null }
    | { phase: "done"; session: Session; proof: Proof | null; live: Live | null }
    /** Refused or not paid in time. Money that arrives later is honoured, and shows. */
    | { phase: "ended"; session: Session; live: Live | null }
    | { phase: "failed"; problem: OnrampProblem; canRetry: boolean }
  )
>;

/** Asks for a session; the same key and body get the same one. */
export type Create = (body: CreateSession, options: CreateOptions) => Promise<CreatedSession>;

/** What Stripe's form needs; in memory alone. `hostedUrl` is Stripe's own page for the same payment. */
export interface Payment {
  clientSecret: string | null;
  publishableKey: string;
  hostedUrl: string | null;
}

/** Who creates the session, and where the purchase is kept. */
export interface PurchaseOptions {
  onramp: Onramp;
  /**
   * Where the service takes sessions from servers only: ask your own, which passes body and idempotency key on with its API key, and
   * answers what the service answered. Throw `await problemOf(response)` for a refusal; any other error is tried again with the same key.
   */
  create?: Create | undefined;
  /** By default `localStorage`, so that a second tab goes on with the same purchase; null keeps it in memory. */
  storage?: KeyValue | null;
  /** The name in the storage; a name for each shop on one origin. */
  slot?: string;
}

/** The store and its actions. Each action may be called at any time; one that does not fit the phase does nothing. */
export interface PurchaseStore {
  readonly onramp: Onramp;
  subscribe(listener: () => void): () => void;
  getSnapshot(): Purchase;
  /** What a server renders, and a page until it has taken over. */
  getServerSnapshot(): Purchase;
  /** Ask for a session, unless a purchase is running; a second click does nothing. */
  start(body: CreateSession): Promise<void>;
  /** Go on with the purchase of this id (from a link), or with the stored one. Call it once when the page is there. */
  resume(id?: string): void;
  /** Try again after `failed`, or show a blocked form again. */
  retry(): void;
  /** Forget the purchase so that another may be made. Asks the service first if it could have been paid; returns whether it did. */
  reset(): Promise<boolean>;
  /** Stripe's form reports a status. It is believed only as a reason to look, and not to offer another purchase. */
  hint(stripeStatus?: string): void;
  /** Stripe's form is there, or cannot be shown. */
  setForm(form: PaymentForm): void;
  /** Return true once for each completed purchase, in one of its tabs and also after a reload. The tab that gets true tells the dApp. */
  takeCompletion(): Promise<boolean>;
  /** Stop following; `resume` goes on. */
  stop(): void;
}
