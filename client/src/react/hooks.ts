"use client";

/** The state of the service as hooks: each aborts what it asked for when its component goes. */

import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { Signer } from "../auth.js";
import type { Live } from "../follow.js";
import { isProblem, type OnrampProblem } from "../problem.js";
import type { PurchaseStore, Purchase } from "../phases.js";
import type { ConfigResponse, Proof, QuoteResponse, Routes } from "../schema.js";
import type { Session } from "../status.js";
import { useShared } from "./provider.js";
import { sharedSession } from "./shared-session.js";

/** Something that is asked for: what was answered last, why there is nothing newer, and whether a request runs. */
export interface Resource<T> {
  data: T | null;
  problem: OnrampProblem | null;
  isLoading: boolean;
}

const NOTHING = { data: null, problem: null, isLoading: false };

/** Ask when `key` changes, and again with each `refresh`; null asks nothing. */
function useResource<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Resource<T> & { refresh: () => void } {
  const [state, setState] = useState<Resource<T>>(NOTHING);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (key === null) return setState(NOTHING);
    const end = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    load(end.signal).then(
      (data) => end.signal.aborted || setState({ data, problem: null, isLoading: false }),
      (problem) => end.signal.aborted || setState((before) => ({ ...before, problem: isProblem(problem) ? problem : null, isLoading: false })),
    );
    return () => end.abort();
    // What `load` asks for follows from the key.
  }, [key, turn]);
  return { ...state, refresh: useCallback(() => setTurn((before) => before + 1), []) };
}

/** The client of the provider above. */
export const useOnramp = () => useShared().onramp;

/** What the service sells, and where; asked for once. */
export function useOnrampConfig(): Resource<ConfigResponse> & { refresh: () => void } {
  const { onramp } = useShared();
  return useResource(onramp.baseUrl, (signal) => onramp.config({ signal }));
}

/** The purchase of the provider above: its state, and its actions. */
export function usePurchase(): { purchase: PurchaseStore; now: Purchase } {
  const { purchase } = useShared();
  return { purchase, now: useSyncExternalStore(purchase.subscribe, purchase.getSnapshot, purchase.getServerSnapshot) };
}

/** An estimate, asked for a moment after the last change of the amount; null for an amount that is not ready. */
export function useQuote(query: Routes["quote"]["query"] | null, delay = 300): Resource<QuoteResponse> & { refresh: () => void } {
  const { onramp } = useShared();
  return useResource(query && JSON.stringify(query), async (signal) => {
    await onramp.wait(delay, signal);
    signal.throwIfAborted();
    return onramp.quote(query!, { signal });
  });
}

/** A session, live. Components that follow the same one share a connection. */
export function useSession(id: string | null): { session: Session | null; live: Live | null; problem: OnrampProblem | null } {
  const { onramp } = useShared();
  const shared = useMemo(() => sharedSession(onramp, id), [onramp, id]);
  return useSyncExternalStore(shared.subscribe, shared.getSnapshot, shared.getServerSnapshot);
}

/** The proof of a session's delivery; asked for again with each change of the session. */
export function useDelivery(id: string | null): Resource<Proof> & { refresh: () => void } {
  const { onramp } = useShared();
  const { session } = useSession(id);
  const key = session && `${session.id} ${session.updatedAt} ${session.delivery.confirmations}`;
  return useResource(key, (signal) => onramp.sessions.delivery(id!, { signal }));
}

/** The login of the buyer's wallet, for the list of purchases. */
export function useWalletLogin() {
  const { onramp } = useShared();
  const [account, setAccount] = useState(onramp.auth.account);
  const [problem, setProblem] = useState<unknown>(null);
  const [isPending, setPending] = useState(false);
  const run = async (action: () => Promise<unknown>) => {
    setPending(true);
    setProblem(null);
    try {
      await action();
    } catch (error) {
      setProblem(error);
    } finally {
      setAccount(onramp.auth.account);
      setPending(false);
    }
  };
  return {
    account,
    /** What went wrong: an OnrampProblem, or what the wallet threw. */
    problem,
    isPending,
    login: (signer: Signer) => run(() => onramp.auth.login(signer)),
    logout: () => run(() => onramp.auth.logout()),
  };
}

/** The purchases of the account that logged in, newest first, a page at a time; `account` from `useWalletLogin`. */
export function useMyPurchases(account: string | null) {
  const { onramp } = useShared();
  const [pages, setPages] = useState(1);
  const { data, ...rest } = useResource(account && `${account} ${pages}`, async (signal) => {
    const sessions: Session[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
      const part = await onramp.sessions.list({ cursor }, { signal });
      sessions.push(...part.data);
      cursor = part.nextCursor;
    }
    return { sessions, hasMore: cursor !== null };
  });
  return { ...rest, sessions: data?.sessions ?? [], hasMore: data?.hasMore ?? false, more: () => setPages((before) => before + 1) };
}
