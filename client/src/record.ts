/** What is kept of a purchase, so that a reload, another tab and a crash go on with it. The client secret is never kept. */

import type { CreateSession } from "./schema.js";

/** The part of the Web Storage interface that is used. */
export type KeyValue = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** One purchase: what was asked under which idempotency key, and what became of it. */
export interface PurchaseRecord {
  /** The idempotency key; null if this device did not begin the purchase, or it is over. */
  key: string | null;
  body: CreateSession | null;
  /** The session's id; null until the service has answered. */
  id: string | null;
  /** The buyer has paid, or may have: no other purchase is offered until the service says how this one ended. */
  paid: boolean;
  /** The purchase is over, and the next one gets a key of its own. */
  over: boolean;
  /** The dApp was told that it is completed. */
  reported: boolean;
}

/** A record of which nothing is known. */
export const NEW: PurchaseRecord = { key: null, body: null, id: null, paid: false, over: false, reported: false };

/** The place of one record. */
export interface RecordStore {
  load(): PurchaseRecord | null;
  save(record: PurchaseRecord | null): void;
  /** Run a function while no other tab does. */
  exclusively<T>(action: () => T): Promise<T>;
  /** Return true in one tab alone, for as long as that tab is open: tabs learn of each other's storage a moment late. */
  isFirst(name: string): Promise<boolean>;
  /** Call back when another tab changes the record; return a function that ends this. */
  watch(callback: () => void): () => void;
}

/** Return the browser's storage that all tabs share; null outside a browser, and where storage is forbidden. */
function sharedStorage(): KeyValue | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * Return the place named `slot` in a storage; undefined is the one that tabs share. Nothing is read before a method is called. Without
 * storage, or with a full one, the record lives in memory alone.
 */
export function recordStore(storage: KeyValue | null | undefined, slot: string): RecordStore {
  let memory: string | null = null;
  const place = () => (storage === undefined ? sharedStorage() : storage);
  return {
    load() {
      try {
        const found = place();
        return recordOf(JSON.parse((found ? found.getItem(slot) : memory) ?? "null"));
      } catch {
        return null;
      }
    },
    save(record) {
      memory = record && JSON.stringify(record);
      try {
        if (memory) place()?.setItem(slot, memory);
        else place()?.removeItem(slot);
      } catch {
        // Full or forbidden: only the resume after a reload is lost.
      }
    },
    async exclusively(action) {
      const locks = globalThis.navigator?.locks;
      // A page that is not secure has no locks; two tabs that start in the same moment then make a purchase each.
      return locks ? locks.request(slot, async () => action()) : action();
    },
    async isFirst(name) {
      const locks = globalThis.navigator?.locks;
      if (!locks) return true;
      return new Promise((resolve) => {
        const hold = (lock: Lock | null) => {
          resolve(lock !== null);
          return lock && new Promise(() => {});
        };
        locks.request(`${slot}.${name}`, { ifAvailable: true }, hold).catch(() => resolve(true));
      });
    },
    watch(callback) {
      // A null key: everything was cleared.
      const changed = (event: StorageEvent) => (event.key === slot || event.key === null) && callback();
      globalThis.addEventListener?.("storage", changed);
      return () => globalThis.removeEventListener?.("storage", changed);
    },
  };
}

/** Return whether two records are of one purchase. */
export function isSame(a: PurchaseRecord | null, b: PurchaseRecord | null): boolean {
  if (!a || !b) return a === b;
  return (a.id !== null && a.id === b.id) || (a.key !== null && a.key === b.key);
}

/** Return what was stored, if it has the shape of a record; another version or another program may have written it. */
function recordOf(value: unknown): PurchaseRecord | null {
  const { key, body, id, paid, over, reported } = (value ?? {}) as Partial<PurchaseRecord>;
  if (typeof id !== "string" && !(typeof key === "string" && body)) return null;
  return { key: key ?? null, body: body ?? null, id: id ?? null, paid: paid === true, over: over === true, reported: reported === true };
}

/** Return an idempotency key that no one can guess. `randomUUID` exists on secure pages only. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `client-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
