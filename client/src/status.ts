/** What the statuses of a session mean for someone who may pay, as data. */

import type { SessionResponse } from "./schema.js";

export type Session = SessionResponse;
export type SessionStatus = Session["status"];

/** Whether a status is final, whether money may have moved, and the step of four that it belongs to: pay, process, deliver, done. */
const STATUSES = {
  awaiting_payment: { terminal: false, paid: false, step: 1 },
  processing: { terminal: false, paid: true, step: 2 },
  delivering: { terminal: false, paid: true, step: 3 },
  completed: { terminal: true, paid: true, step: 4 },
  rejected: { terminal: true, paid: false, step: 2 },
  expired: { terminal: true, paid: false, step: 1 },
  attention: { terminal: false, paid: true, step: 3 },
} as const satisfies Record<SessionStatus, { terminal: boolean; paid: boolean; step: 1 | 2 | 3 | 4 }>;

/** A status that this version does not know may mean that money has moved. */
const UNKNOWN = { terminal: false, paid: true, step: 3 } as const;

const meaningOf = (status: SessionStatus) => (Object.hasOwn(STATUSES, status) ? STATUSES[status] : UNKNOWN);

/** Return whether nothing more is expected. `rejected` and `expired` may still change if money arrives later, which is honoured. */
export const isTerminal = (status: SessionStatus): boolean => meaningOf(status).terminal;

/** Return whether the buyer has paid, or may have: true for a status that this version does not know. */
export const isPaid = (status: SessionStatus): boolean => meaningOf(status).paid;

/** Return whether another purchase may be offered in place of this one. */
export const mayPayAgain = (status: SessionStatus): boolean => isTerminal(status);

/** Return the step of four: 1 pay, 2 the payment is processed, 3 MUSD is delivered, 4 it has arrived. */
export const stepOf = (status: SessionStatus): 1 | 2 | 3 | 4 => meaningOf(status).step;
