/**
 * Stripe's payment form, mounted for a purchase. Card data lives in Stripe's frame alone, and what the form reports is only a hint.
 *
 * A script that failed to load is tried again at the next mount; until then the buyer gets Stripe's own page.
 */

import type { PurchaseStore } from "./phases.js";

/** A form that is not there after so long counts as blocked; one that comes later still takes its place. */
const PATIENCE_MS = 15_000;

/** How the form looks, and where its scripts are, if not where the service's configuration says. */
export interface FormOptions {
  scripts?: readonly string[];
  /** `auto` follows the browser's colour scheme, also when it changes. */
  appearance?: { theme?: "light" | "dark" | "auto" };
}

interface OnrampSession {
  mount(element: Element): void;
  setAppearance?(appearance: object): void;
  addEventListener(type: string, listener: (event: { payload?: { session?: { status?: string } } }) => void): void;
}

type StripeOnramp = (key: string) => { createSession(options: { clientSecret: string; appearance?: object }): OnrampSession };

const loading = new Map<string, Promise<void>>();

/** Load a script once for the page; a failure is forgotten, so that the next call tries again. */
function load(url: string): Promise<void> {
  const known = loading.get(url);
  if (known) return known;
  const script = document.createElement("script");
  const promise = new Promise<void>((resolve, reject) => {
    script.addEventListener("load", () => resolve());
    script.addEventListener("error", () => {
      loading.delete(url);
      script.remove();
      reject(new Error(`${url} could not be loaded`));
    });
  });
  loading.set(url, promise);
  script.src = url;
  document.head.append(script);
  return promise;
}

/** Begin to load Stripe's scripts while the buyer still types. A failure shows when the form is mounted. */
export function preloadStripe(scripts: readonly string[]): void {
  scripts.reduce((before, url) => before.then(() => load(url)), Promise.resolve()).catch(() => {});
}

/** Keep Stripe's form in `element` while the purchase is to be paid here. Return a function that takes it down. */
export function mountPayment(purchase: PurchaseStore, element: Element, options: FormOptions = {}): () => void {
  let shown: string | null = null;
  let isBlocked = false;
  let unmount = () => {};

  function update(): void {
    const now = purchase.getSnapshot();
    const secret = now.phase === "pay" ? (now.payment?.clientSecret ?? null) : null;
    // A form that is blocked gets another chance when the purchase says that it is loading again.
    if (secret === shown && !(now.phase === "pay" && now.form === "loading" && isBlocked)) return;
    unmount();
    shown = secret;
    isBlocked = false;
    if (now.phase === "pay" && secret) unmount = mount(secret, now.payment?.publishableKey ?? "");
  }

  function mount(clientSecret: string, publishableKey: string): () => void {
    let isGone = false;
    const { appearance } = options;
    const darkness = appearance?.theme === "auto" ? globalThis.matchMedia("(prefers-color-scheme: dark)") : null;
    const appearanceNow = () => (darkness ? { ...appearance, theme: darkness.matches ? "dark" : "light" } : appearance);
    let repaint = () => {};
    const blocked = () => {
      clearTimeout(patience);
      if (isGone) return;
      isBlocked = true;
      purchase.setForm("blocked");
    };
    const patience = setTimeout(blocked, PATIENCE_MS);
    const ready = () => {
      clearTimeout(patience);
      if (!isGone) purchase.setForm("ready");
    };
    const build = async () => {
      for (const url of options.scripts ?? (await purchase.onramp.config()).stripe.scripts) await load(url);
      if (isGone) return;
      const { StripeOnramp } = globalThis as unknown as { StripeOnramp: StripeOnramp };
      const session = StripeOnramp(publishableKey).createSession({ clientSecret, ...(appearance && { appearance: appearanceNow() as object }) });
      repaint = () => session.setAppearance?.(appearanceNow() as object);
      darkness?.addEventListener("change", repaint);
      session.addEventListener("onramp_ui_loaded", ready);
      session.addEventListener("onramp_session_updated", (event) => !isGone && purchase.hint(event.payload?.session?.status));
      session.mount(element);
    };
    build().catch(blocked);
    return () => {
      isGone = true;
      clearTimeout(patience);
      darkness?.removeEventListener("change", repaint);
      element.replaceChildren();
    };
  }

  const unsubscribe = purchase.subscribe(update);
  update();
  return () => {
    unsubscribe();
    unmount();
  };
}
