/** What the compiler must accept and refuse; this file is never run. */

import { type Eip1193, isProblem, type OnrampProblem, type Routes, type Session } from "@onramp/client";
import type { Purchase } from "@onramp/client/purchase";
import type { WebhookEvent } from "@onramp/client/webhooks";

/** The routes that the client has a function for. A new route of the service needs one, or a reason here why it has none. */
type Covered =
  | "config"
  | "create_session"
  | "list_sessions"
  | "read_session"
  | "session_events"
  | "session_delivery"
  | "session_receipt"
  | "verify_session"
  | "quote"
  | "nonce"
  | "login"
  | "logout";
export const uncovered: Exclude<keyof Routes, Covered>[] = [];
const every: never[] = uncovered;

/** A switch over the statuses is complete without a default. */
export function words(status: Session["status"]): string {
  switch (status) {
    case "awaiting_payment":
    case "processing":
    case "delivering":
    case "completed":
    case "rejected":
    case "expired":
    case "attention":
      return status;
  }
}

/** The phase decides which fields there are. */
export function fields(purchase: Purchase): unknown {
  if (purchase.phase === "pay") return purchase.payment?.clientSecret;
  // @ts-expect-error: not in every phase
  if (purchase.phase === "failed") return purchase.session;
  return every;
}

export function problem(error: unknown): string | null {
  return isProblem(error, "unreachable") ? error.code : null;
}

export function unknown(error: unknown): boolean {
  // @ts-expect-error: a code that the service does not have
  return isProblem(error, "no_such_code");
}

/** A provider as viem types it: one member for each method. */
type Narrow = { request: <R>(call: { method: "eth_chainId"; params?: undefined } | { method: "personal_sign"; params: [string, string] }) => Promise<R> };
export const provider = (narrow: Narrow): Eip1193 => narrow;

export const narrowed: OnrampProblem<"unreachable"> | null = null;

export function fulfil(event: WebhookEvent): string | null {
  // @ts-expect-error: unknown data until the type says more
  event.data.id;
  return event.type === "session.completed" ? event.data.id : null;
}
