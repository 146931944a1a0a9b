"use client";

/** What hooks and components share: the client, the purchase, the words, and the locale. */

import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef } from "react";
import { createOnramp, type Onramp } from "../client.js";
import { createPurchase } from "../purchase.js";
import type { Create, PurchaseStore } from "../phases.js";
import type { FormOptions } from "../stripe.js";
import { en, type Words } from "../words/en.js";

/** The provider's settings. */
export interface OnrampProviderProps {
  /** The service's origin; or pass a client of your own, made outside of the component. */
  baseUrl?: string;
  client?: Onramp;
  /** Who creates sessions, if not the page itself; see `createPurchase`. */
  create?: Create;
  /** The purchase's name in the storage: one for each shop on an origin. */
  slot?: string;
  /** For amounts, and for what a person types; by default the browser's. */
  locale?: string;
  /** The texts; English by default. */
  words?: Words;
  /** How Stripe's form looks, and where its scripts are. */
  form?: FormOptions;
  children?: ReactNode;
}

interface Shared {
  onramp: Onramp;
  purchase: PurchaseStore;
  locale: string | undefined;
  words: Words;
  form: FormOptions;
}

const Context = createContext<Shared | null>(null);
const PLAIN: FormOptions = {};

/** Provide the service to hooks and components. It follows the purchase while it is mounted, and goes on with a stored one. */
export function OnrampProvider({ baseUrl, client, create, slot, locale, words = en, form = PLAIN, children }: OnrampProviderProps) {
  const onramp = useMemo(() => client ?? createOnramp({ baseUrl: baseUrl ?? "" }), [client, baseUrl]);
  const latestCreate = useRef(create);
  useEffect(() => void (latestCreate.current = create));
  // The same store whatever function is passed with the next rendering.
  const purchase = useMemo(() => {
    const asLatest: Create = (body, options) => (latestCreate.current ?? onramp.sessions.create)(body, options);
    return createPurchase({ onramp, create: asLatest, ...(slot && { slot }) });
  }, [onramp, slot]);
  // By content: an object that is written in the markup is another one with each rendering, and must not take down a form in use.
  const stableForm = useMemo(() => form, [JSON.stringify(form)]);
  useEffect(() => {
    purchase.resume();
    return purchase.stop;
  }, [purchase]);
  const shared = useMemo(
    () => ({ onramp, purchase, locale, words, form: stableForm }),
    [onramp, purchase, locale, words, stableForm],
  );
  return <Context.Provider value={shared}>{children}</Context.Provider>;
}

/** Return what the provider shares. Throws if there is none. */
export function useShared(): Shared {
  const shared = useContext(Context);
  if (!shared) throw new Error("Put <OnrampProvider> around the components that use Onramp.");
  return shared;
}
