/** The service's routes, typed: sessions and their live changes, wallet login, exact money, and problems. */

export type { Auth, Eip1193, Signer } from "./auth.js";
export { signerOf } from "./auth.js";
export type { CreateOptions, Onramp, OnrampOptions, Sessions } from "./client.js";
export { createOnramp } from "./client.js";
export type { FollowOptions, Live } from "./follow.js";
export type { TypedAmount } from "./money.js";
export { FIAT_DECIMALS, formatAmount, formatUnits, MUSD_DECIMALS, parseAmount, parseUnits } from "./money.js";
export type { Code, FieldError } from "./problem.js";
export { isProblem, OnrampProblem, problemOf } from "./problem.js";
export type * from "./schema.js";
export type { Session, SessionStatus } from "./status.js";
export { isPaid, isTerminal, mayPayAgain, stepOf } from "./status.js";
export type { RequestOptions, Wait } from "./transport.js";
