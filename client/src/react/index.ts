"use client";

/** Hooks and components for React 18 and 19. */

export type { BuyButtonProps } from "./buy-button.js";
export { BuyButton } from "./buy-button.js";
export type { BuyMusdProps } from "./components.js";
export { BuyMusd, PurchaseStatus, StripeOnramp } from "./components.js";
export type { Resource } from "./hooks.js";
export { useDelivery, useMyPurchases, useOnramp, useOnrampConfig, usePurchase, useQuote, useSession, useWalletLogin } from "./hooks.js";
export type { OnrampProviderProps } from "./provider.js";
export { OnrampProvider } from "./provider.js";
