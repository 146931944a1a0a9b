/**
 * Follows one session: server-sent events first, polling where they fail, and a fresh look whenever the tab comes back.
 */

const POLL_MS = 4000;
const SETTLED_POLL_MS = 15000;
const SETTLED_POLLS = 8;
const STREAM_RETRY_MS = 30000;
const FAILURES_BEFORE_POLLING = 2;

/** States in which nothing more is expected; they are watched a little longer, since a chain can still reorganise. */
const SETTLED = new Set(["completed", "rejected"]);

export class Follower {
  #stream = null;
  #timer = null;
  #failures = 0;
  #settledPolls = 0;
  #latest = null;
  #stopped = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {string} id of the session
   * @param {(session: object) => void} onSession called with each newer state
   * @param {(online: boolean) => void} onLink called when the service stops or resumes answering
   */
  constructor(api, id, onSession, onLink) {
    this.api = api;
    this.id = id;
    this.onSession = onSession;
    this.onLink = onLink;
    this.onVisible = () => document.visibilityState === "visible" && this.refresh();
  }

  start() {
    document.addEventListener("visibilitychange", this.onVisible);
    this.#listen();
  }

  stop() {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.onVisible);
    this.#closeStream();
    clearTimeout(this.#timer);
  }

  /** Looks once, now. Anything that hints at a change (the widget, the tab) ends here; hints never carry the state. */
  async refresh() {
    try {
      this.#take(await this.api.session(this.id));
      this.onLink(true);
    } catch {
      if (!this.#stopped) this.onLink(false);
    }
  }

  #listen() {
    if (this.#stopped || typeof EventSource === "undefined") return this.#poll();
    this.#closeStream();
    this.#stream = new EventSource(this.api.eventsUrl(this.id));
    this.#stream.addEventListener("session", (event) => {
      this.#failures = 0;
      this.onLink(true);
      this.#take(JSON.parse(event.data));
    });
    this.#stream.addEventListener("error", () => {
      this.#failures += 1;
      this.refresh();
      const dead = this.#stream?.readyState === EventSource.CLOSED;
      if (dead || this.#failures >= FAILURES_BEFORE_POLLING) this.#poll(Date.now() + STREAM_RETRY_MS);
    });
  }

  /** Polls until `until`, then gives the stream another chance. */
  #poll(until = Infinity) {
    this.#closeStream();
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      await this.refresh();
      if (this.#stopped || this.#settled()) return;
      if (Date.now() >= until) this.#listen();
      else this.#poll(until);
    }, POLL_MS);
  }

  #take(session) {
    if (this.#stopped) return;
    const older = this.#latest && Date.parse(session.updatedAt) < Date.parse(this.#latest.updatedAt);
    if (older) return;
    this.#latest = session;
    this.onSession(session);
    if (this.#settled()) this.#watchSettled();
  }

  #settled() {
    return this.#latest !== null && SETTLED.has(this.#latest.status);
  }

  /** The stream is given back; a few slow looks keep the confirmations current and would show a reorganisation. */
  #watchSettled() {
    this.#closeStream();
    clearTimeout(this.#timer);
    if (this.#settledPolls >= SETTLED_POLLS) return;
    this.#settledPolls += 1;
    this.#timer = setTimeout(async () => {
      await this.refresh();
      if (this.#settled()) this.#watchSettled();
      else this.#listen();
    }, SETTLED_POLL_MS);
  }

  #closeStream() {
    this.#stream?.close();
    this.#stream = null;
  }
}
