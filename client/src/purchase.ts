/** A purchase as a store, and Stripe's payment form for it. */

export type { Live } from "./follow.js";
export type { Create, Payment, PaymentForm, Purchase, PurchaseOptions, PurchaseStore } from "./phases.js";
export type { KeyValue } from "./record.js";
export { createPurchase } from "./store.js";
export type { FormOptions } from "./stripe.js";
export { mountPayment, preloadStripe } from "./stripe.js";
