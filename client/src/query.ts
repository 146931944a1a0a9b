/** Keys and options for TanStack Query, which is not imported: pass them to `useQuery`. */

import type { Onramp } from "./client.js";
import type { ConfigResponse, Proof, QuoteResponse, Routes } from "./schema.js";
import { isTerminal, type Session } from "./status.js";

/** What `useQuery` takes; a part of TanStack's own type. */
export interface QueryOptions<T> {
  queryKey: readonly unknown[];
  queryFn: (context: { signal: AbortSignal }) => Promise<T>;
  refetchInterval?: (query: { state: { data?: T | undefined } }) => number | false;
}

const POLL_MS = 4_000;

export const configQueryKey = (onramp: Onramp) => ["onramp", onramp.baseUrl, "config"] as const;
export const quoteQueryKey = (onramp: Onramp, query: Routes["quote"]["query"]) => ["onramp", onramp.baseUrl, "quote", query] as const;
export const sessionQueryKey = (onramp: Onramp, id: string) => ["onramp", onramp.baseUrl, "session", id] as const;
export const deliveryQueryKey = (onramp: Onramp, id: string) => ["onramp", onramp.baseUrl, "delivery", id] as const;

/** What the service sells, and where. */
export function configQueryOptions(onramp: Onramp): QueryOptions<ConfigResponse> {
  return { queryKey: configQueryKey(onramp), queryFn: ({ signal }) => onramp.config({ signal }) };
}

/** An estimate. */
export function quoteQueryOptions(onramp: Onramp, query: Routes["quote"]["query"]): QueryOptions<QuoteResponse> {
  return { queryKey: quoteQueryKey(onramp, query), queryFn: ({ signal }) => onramp.quote(query, { signal }) };
}

/** A session, asked for until it is final. */
export function sessionQueryOptions(onramp: Onramp, id: string): QueryOptions<Session> {
  return {
    queryKey: sessionQueryKey(onramp, id),
    queryFn: ({ signal }) => onramp.sessions.get(id, { signal }),
    refetchInterval: ({ state }) => (state.data && isTerminal(state.data.status) ? false : POLL_MS),
  };
}

/** The proof of a delivery, asked for until it is confirmed. */
export function deliveryQueryOptions(onramp: Onramp, id: string): QueryOptions<Proof> {
  return {
    queryKey: deliveryQueryKey(onramp, id),
    queryFn: ({ signal }) => onramp.sessions.delivery(id, { signal }),
    refetchInterval: ({ state }) => (state.data?.status === "confirmed" ? false : POLL_MS),
  };
}
