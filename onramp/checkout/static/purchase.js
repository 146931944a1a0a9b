/**
 * The purchase of this tab: what was asked, under which idempotency key, and the session it became.
 *
 * Kept in sessionStorage so that a reload goes on where it was. The client secret is never stored; after a reload the
 * same key and body are sent again, and the service replays its first answer.
 */

const SLOT = "onramp.purchase";
const IN_PROGRESS_TRIES = 8;
const UNREACHED_TRIES = 2;

/** A key nobody can guess. randomUUID exists only on secure origins, getRandomValues everywhere. */
export function newKey() {
  if (crypto.randomUUID) return `checkout-${crypto.randomUUID()}`;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `checkout-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export class PurchaseStore {
  #record = null;

  /** @param {Storage|null} storage null where the browser forbids storage: a reload then starts anew */
  constructor(storage) {
    this.storage = storage;
    try {
      this.#record = JSON.parse(storage?.getItem(SLOT) ?? "null");
    } catch {
      this.#record = null;
    }
  }

  /** @returns {{key: string, body: object, sessionId: string|null}|null} */
  get record() {
    return this.#record;
  }

  /** The record for this body: the one already begun if it asks the same and has no session yet, else a new one. */
  draft(body) {
    const begun = this.#record;
    const same = begun && !begun.sessionId && JSON.stringify(begun.body) === JSON.stringify(body);
    return same ? begun : this.#write({ key: newKey(), body, sessionId: null });
  }

  attach(sessionId) {
    this.#write({ ...this.#record, sessionId });
  }

  clear() {
    this.#write(null);
  }

  #write(record) {
    this.#record = record;
    try {
      if (record) this.storage?.setItem(SLOT, JSON.stringify(record));
      else this.storage?.removeItem(SLOT);
    } catch {
      // A full or forbidden store costs only the resume after a reload.
    }
    return record;
  }
}

/** Milliseconds until the same request may be sent again by itself, or null when the buyer has to decide. */
function delayBefore(problem, attempt) {
  if (problem.code === "idempotency_in_progress" && attempt < IN_PROGRESS_TRIES) return (problem.retryAfter ?? 1) * 1000;
  if (problem.status === 0 && attempt < UNREACHED_TRIES) return 1000 * 2 ** attempt;
  return null;
}

/** Whether asking again with this key could only repeat the refusal. */
function isFinal(problem) {
  const open = problem.code === "idempotency_in_progress" || problem.status === 429;
  return (problem.status >= 400 && problem.status < 500 && !open) || problem.status === 502;
}

/**
 * Opens the session for `body`, or reopens the one this tab already began with it.
 * @throws {import("./api.js").Problem} when it cannot be had now; the key is kept where trying again makes sense
 */
export async function openSession(api, store, body) {
  const record = store.draft(body);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const session = await api.create(record.body, record.key);
      store.attach(session.id);
      return session;
    } catch (problem) {
      const delay = delayBefore(problem, attempt);
      if (delay === null) {
        if (isFinal(problem)) store.clear();
        throw problem;
      }
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}

/** Asks again for a session already made, for its client secret. */
export function replay(api, record) {
  return api.create(record.body, record.key);
}
