/** A dApp's page for tests: a fake service, a storage that tabs share, and stores that stand for tabs. */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createPurchase, type KeyValue, type Purchase, type PurchaseStore } from "@onramp/client/purchase";
import { FakeOnramp } from "@onramp/client/testing";

export const BODY = { walletAddress: "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", sourceAmount: "100", sourceCurrency: "usd" };
export const SLOT = "onramp.purchase";

/** A storage that several stores share, as tabs share localStorage: the others are told of each change. */
export class Shared implements KeyValue {
  values = new Map<string, string>();

  getItem(name: string): string | null {
    return this.values.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.values.set(name, value);
    this.#tell(name);
  }

  removeItem(name: string): void {
    this.values.delete(name);
    this.#tell(name);
  }

  // A browser tells the other tabs later, and not the one that made the change; for that one the event says nothing new.
  #tell(key: string): void {
    queueMicrotask(() => globalThis.dispatchEvent(Object.assign(new Event("storage"), { key })));
  }
}

// Node has no events of a window.
const window = new EventTarget();
Object.assign(globalThis, {
  addEventListener: window.addEventListener.bind(window),
  removeEventListener: window.removeEventListener.bind(window),
  dispatchEvent: window.dispatchEvent.bind(window),
});

export class Shop {
  fake = new FakeOnramp();
  storage: Shared | null = new Shared();
  #tabs: PurchaseStore[] = [];

  /** Open a tab, which goes on with a stored purchase or with the one of a link. */
  tab(link?: string, storage: KeyValue | null = this.storage): PurchaseStore {
    const purchase = createPurchase({ onramp: this.fake.client(), storage });
    this.#tabs.push(purchase);
    purchase.resume(link);
    return purchase;
  }

  /** Close a tab, and open another in its place. */
  reload(tab: PurchaseStore): PurchaseStore {
    tab.stop();
    return this.tab();
  }

  close(): void {
    for (const tab of this.#tabs) tab.stop();
  }

  /** The idempotency keys of all create requests, each once. */
  get keys(): string[] {
    const creates = this.fake.requests.filter(({ method }) => method === "POST");
    return [...new Set(creates.map(({ headers }) => headers.get("Idempotency-Key") ?? "none"))];
  }
}

/** Return a shop that is closed when the test ends. */
export function open(t: TestContext): Shop {
  const shop = new Shop();
  t.after(() => shop.close());
  return shop;
}

/** Begin a purchase in a tab and return its session's id. */
export async function begin(tab: PurchaseStore, body = BODY): Promise<string> {
  await tab.start(body);
  return (await phase(tab, "pay")).session.id;
}

/** Wait until the tab is in a phase, and return it. */
export async function phase<P extends Purchase["phase"]>(
  tab: PurchaseStore,
  name: P,
  and: (purchase: Extract<Purchase, { phase: P }>) => boolean = () => true,
): Promise<Extract<Purchase, { phase: P }>> {
  for (let tries = 0; ; tries += 1) {
    const now = tab.getSnapshot();
    if (now.phase === name && and(now as Extract<Purchase, { phase: P }>)) return now as Extract<Purchase, { phase: P }>;
    assert.ok(tries < 1000, `after 5 s not as expected in ${name}: ${JSON.stringify(now)}`);
    await sleep(5);
  }
}
