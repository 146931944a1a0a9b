/**
 * One purchase as a store: `subscribe` and `getSnapshot`, for any framework or none.
 *
 * What it shows follows from what the service says of the session. Hints of Stripe's form, other tabs and the stored record can only make
 * it more careful. While the buyer has paid, or may have, it offers no other purchase.
 */

import type { Onramp } from "./client.js";
import { type Live, newest } from "./follow.js";
import type { Payment, PaymentForm, Purchase, PurchaseOptions, PurchaseStore } from "./phases.js";
import { isProblem, type OnrampProblem } from "./problem.js";
import { isSame, NEW, newKey, type PurchaseRecord, type RecordStore, recordStore } from "./record.js";
import { canRetry, createUntilAnswered, paymentOf } from "./retry.js";
import type { CreateSession, Proof } from "./schema.js";
import { isPaid, isTerminal, type Session } from "./status.js";

const COMPOSE: Purchase = { phase: "compose", mayStartOver: true };
const RUNNING = ["creating", "resuming", "pay", "track"];
const AGAIN_MS = 15_000;
const PROOF_MS = 3_000;

/** Return a store. Nothing is read or sent before `start` or `resume`. */
export function createPurchase(options: PurchaseOptions): PurchaseStore {
  return new Store(options);
}

class Store implements PurchaseStore {
  readonly onramp: Onramp;
  #options: PurchaseOptions;
  #places: RecordStore;
  #record: PurchaseRecord | null = null;
  #payment: Payment | null = null;
  #session: Session | null = null;
  #isNews = newest();
  #live: Live | null = null;
  #form: PaymentForm = "loading";
  #proof: Proof | null = null;
  #isProving = false;
  #isReopening = false;
  #snapshot: Purchase = COMPOSE;
  #listeners = new Set<() => void>();
  #run = new AbortController();
  #stopWatching: (() => void) | undefined;

  constructor(options: PurchaseOptions) {
    this.#options = options;
    this.#places = recordStore(options.storage, options.slot ?? "onramp.purchase");
    this.onramp = options.onramp;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  getSnapshot = (): Purchase => this.#snapshot;

  getServerSnapshot = (): Purchase => COMPOSE;

  start = async (body: CreateSession): Promise<void> => {
    if (RUNNING.includes(this.#snapshot.phase)) return;
    const asked = JSON.stringify(body);
    this.#begin();
    this.#show({ phase: "creating", problem: null, mayStartOver: true });
    const run = this.#run;
    const own = this.#record?.key;
    const record = await this.#places.exclusively(() => {
      const stored = this.#places.load();
      const isOwn = own !== undefined && stored?.key === own;
      const goesOn = stored && !stored.over && (stored.id !== null || !isOwn || JSON.stringify(stored.body) === asked);
      if (goesOn) return stored;
      const fresh = { ...NEW, key: newKey(), body };
      this.#places.save(fresh);
      return fresh;
    });
    if (run === this.#run) await this.#goOn(record);
  };

  resume = (id?: string): void => {
    this.#stopWatching ??= this.#places.watch(() => this.#otherTab());
    const isStopped = this.#run.signal.aborted;
    if (RUNNING.includes(this.#snapshot.phase) && !isStopped) return;
    const stored = this.#places.load();
    const record = id !== undefined && stored?.id !== id ? { ...NEW, id } : stored;
    if (!record) return;
    if (!stored) this.#places.save(record);
    if (isStopped && this.#session?.id === record.id) {
      this.#run = new AbortController();
      void this.#follow(this.#session.id);
    } else {
      this.#begin();
      void this.#goOn(record);
    }
  };

  retry = (): void => {
    const now = this.#snapshot;
    if (now.phase === "pay") {
      this.setForm("loading");
      if (!this.#payment) void this.#reopen();
    }
    if (now.phase !== "failed" || !now.canRetry || !this.#record) return;
    this.#begin();
    void this.#goOn(this.#record);
  };

  reset = async (): Promise<boolean> => {
    const { signal } = this.#run;
    if (this.#snapshot.phase === "pay" && this.#session) {
      const session = await this.onramp.sessions.get(this.#session.id, { signal }).catch(() => null);
      if (!session || signal.aborted) return false;
      this.#apply(session);
    }
    if (!this.#snapshot.mayStartOver) return false;
    this.#forget();
    this.#begin();
    this.#show(COMPOSE);
    return true;
  };

  hint = (stripeStatus?: string): void => {
    if (this.#snapshot.phase !== "pay" || !this.#session) return;
    if (stripeStatus?.startsWith("fulfillment_")) {
      this.#keep({ paid: true });
      this.#render();
    }
    const { signal } = this.#run;
    this.onramp.sessions.get(this.#session.id, { signal }).then((session) => !signal.aborted && this.#apply(session), () => {});
  };

  setForm = (form: PaymentForm): void => {
    this.#form = form;
    if (this.#snapshot.phase === "pay") this.#render();
  };

  takeCompletion = async (): Promise<boolean> => {
    const { phase } = this.#snapshot;
    if (phase !== "done" || this.#record?.reported || !(await this.#places.isFirst(`${this.#record?.id}`))) return false;
    const stored = this.#places.load();
    if (this.#record?.reported || (stored?.reported && isSame(stored, this.#record))) return false;
    this.#keep({ reported: true });
    return true;
  };

  stop = (): void => {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#run.abort();
  };

  /** End whatever runs and forget what is in memory of it. */
  #begin(): void {
    this.#run.abort();
    this.#run = new AbortController();
    this.#payment = this.#session = this.#live = this.#proof = null;
    this.#isProving = this.#isReopening = false;
    this.#form = "loading";
    this.#isNews = newest();
  }

  #forget(): void {
    if (isSame(this.#record, this.#places.load())) this.#places.save(null);
    this.#record = null;
  }

  /** Change the record, in the storage only if it is there: a purchase opened by a link does not replace the one of this device. */
  #keep(change: Partial<PurchaseRecord>): void {
    if (!this.#record) return;
    const isStored = isSame(this.#record, this.#places.load());
    this.#record = { ...this.#record, ...change };
    if (isStored) this.#places.save(this.#record);
  }

  async #goOn(record: PurchaseRecord): Promise<void> {
    this.#record = record;
    if (record.id === null) return this.#create(record);
    this.#render();
    void this.#follow(record.id);
  }

  /** Ask for the session until the service answers, always under the same key. */
  async #create(record: PurchaseRecord): Promise<void> {
    this.#show({ phase: "creating", problem: null, mayStartOver: true });
    const onTry = (problem: OnrampProblem) => this.#show({ phase: "creating", problem, mayStartOver: true });
    const created = await this.#ask(record, onTry);
    if (!created) return;
    if (isProblem(created)) {
      const again = canRetry(created);
      if (!again) this.#forget();
      return this.#show({ phase: "failed", problem: created, canRetry: again, mayStartOver: true });
    }
    this.#keep({ id: created.id });
    this.#payment = paymentOf(created);
    this.#apply(created);
    void this.#follow(created.id);
  }

  #ask(record: PurchaseRecord, onTry?: (problem: OnrampProblem) => void) {
    const { sessions, wait } = this.onramp;
    return createUntilAnswered(this.#options.create ?? sessions.create, wait, record, this.#run.signal, onTry);
  }

  async #follow(id: string): Promise<void> {
    const { signal } = this.#run;
    const onLive = (live: Live) => {
      this.#live = live;
      if (!signal.aborted) this.#render();
    };
    while (!signal.aborted) {
      try {
        for await (const session of this.onramp.sessions.follow(id, { signal, onLive })) if (!signal.aborted) this.#apply(session);
        return;
      } catch (problem) {
        if (signal.aborted || !isProblem(problem)) return;
        // A paid purchase that the service does not know, after a restore for example, is not over: it is found again.
        if (!this.#record?.paid) {
          const isOwn = this.#record?.key;
          this.#forget();
          return this.#show(isOwn ? COMPOSE : { phase: "failed", problem, canRetry: false, mayStartOver: true });
        }
        onLive("offline");
        await this.onramp.wait(AGAIN_MS, signal);
      }
    }
  }

  /** Get Stripe's secret again: after a reload the first request, sent once more, answers it. */
  async #reopen(): Promise<void> {
    if (!this.#record || this.#isReopening) return;
    this.#isReopening = true;
    const { signal } = this.#run;
    const created = await this.#ask(this.#record);
    if (signal.aborted) return;
    this.#isReopening = false;
    if (created && !isProblem(created) && created.id === this.#session?.id) this.#payment = paymentOf(created);
    this.setForm(this.#payment ? "loading" : "blocked");
  }

  async #prove(id: string): Promise<void> {
    if (this.#isProving) return;
    this.#isProving = true;
    const { signal } = this.#run;
    for (let proof: Proof | null = null; !proof && !signal.aborted; ) {
      proof = await this.onramp.sessions.delivery(id, { signal }).catch(() => null);
      if (proof && !signal.aborted) this.#proof = proof;
      else await this.onramp.wait(PROOF_MS, signal);
    }
    if (signal.aborted) return;
    this.#isProving = false;
    this.#render();
  }

  /** Another tab began, ended or forgot a purchase. */
  #otherTab(): void {
    const stored = this.#places.load();
    const { phase } = this.#snapshot;
    if (isSame(stored, this.#record)) {
      if (stored?.paid && !this.#record?.paid) this.#keep({ paid: true });
      if (this.#session) this.#render();
    } else if (phase === "compose" || phase === "failed" || (phase === "pay" && this.#record?.key)) {
      this.#begin();
      this.#record = null;
      if (stored && !stored.over) void this.#goOn(stored);
      else this.#show(COMPOSE);
    }
  }

  /** Take what the service says of the session. */
  #apply(session: Session): void {
    if (!this.#isNews(session)) return;
    this.#session = session;
    if (isTerminal(session.status)) this.#keep({ key: null, body: null, paid: false, over: true });
    else if (isPaid(session.status)) this.#keep({ paid: true, over: false });
    this.#render();
    if (session.status === "completed") void this.#prove(session.id);
    if (this.#snapshot.phase === "pay" && !this.#payment && this.#form === "loading") void this.#reopen();
  }

  #render(): void {
    const session = this.#session;
    const live = this.#live;
    if (!session) {
      if (this.#record?.id) this.#show({ phase: "resuming", id: this.#record.id, live, mayStartOver: false });
    } else if (session.status === "completed") {
      this.#show({ phase: "done", session, proof: this.#proof, live, mayStartOver: true });
    } else if (isTerminal(session.status)) {
      this.#show({ phase: "ended", session, live, mayStartOver: true });
    } else if (this.#record?.paid || isPaid(session.status)) {
      this.#show({ phase: "track", session, live, mayStartOver: false });
    } else {
      const form = this.#form;
      this.#show({ phase: "pay", session, payment: this.#payment, form, live, mayStartOver: live !== "offline" });
    }
  }

  #show(purchase: Purchase): void {
    this.#snapshot = purchase;
    for (const listener of [...this.#listeners]) listener();
  }
}
