/** What to do after a create request failed: whether it may be sent again under the same key, and when. */

import type { Create, Payment } from "./phases.js";
import { isProblem, type OnrampProblem, unreachable } from "./problem.js";
import type { PurchaseRecord } from "./record.js";
import type { CreatedSession } from "./schema.js";
import type { Wait } from "./transport.js";

const MAX_TRIES = 6;
const MAX_PAUSE_MS = 60_000;
/** The service answered and will not sell at the moment: the buyer decides when to try again. */
const NOT_NOW = new Set(["paused", "inventory_low", "inventory_unknown", "delivery_unavailable", "screening_unavailable"]);

/** Return whether the same request, with the same key, may succeed later. False: nothing was handed out, and the key is used up. */
export function canRetry({ status, code }: OnrampProblem): boolean {
  if (code === "stripe_echo_mismatch") return false;
  return status === 0 || status >= 500 || status === 408 || status === 429 || code === "idempotency_in_progress";
}

/**
 * Return the session of a record, or the problem that prevents one. Repeat the request under the record's key until the service answers or the buyer has to decide.
 * Undefined if the signal is aborted, and for a purchase that another device began, whose key is not known here.
 */
export async function createUntilAnswered(
  create: Create,
  wait: Wait,
  { key, body }: PurchaseRecord,
  signal: AbortSignal,
  onTry?: (problem: OnrampProblem) => void,
): Promise<CreatedSession | OnrampProblem | undefined> {
  for (let tries = 0; key !== null && body && !signal.aborted; tries += 1) {
    try {
      const created = await create(body, { idempotencyKey: key, signal });
      return signal.aborted ? undefined : created;
    } catch (error) {
      if (signal.aborted) return undefined;
      const problem = isProblem(error) ? error : unreachable();
      const delay = delayBefore(problem, tries);
      if (delay === null) return problem;
      onTry?.(problem);
      await wait(delay, signal);
    }
  }
  return undefined;
}

/** Return the milliseconds until the request is sent again by itself; null if the buyer has to decide. */
export function delayBefore(problem: OnrampProblem, tries: number): number | null {
  if (!canRetry(problem) || NOT_NOW.has(problem.code) || tries >= MAX_TRIES) return null;
  const pause = problem.retryAfter === null ? 1000 * 2 ** Math.min(tries, 3) : Math.max(1, problem.retryAfter) * 1000;
  return pause > MAX_PAUSE_MS ? null : pause;
}

/** Return what Stripe's form needs of an answer. */
export function paymentOf(created: CreatedSession): Payment {
  const { clientSecret, publishableKey, redirectUrl } = created;
  return { clientSecret, publishableKey, hostedUrl: /^https?:\/\//.test(redirectUrl ?? "") ? redirectUrl : null };
}
