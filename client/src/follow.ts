/**
 * Follow one session: its event stream, polling where streams fail, and a fresh look when the page is shown or online again.
 *
 * States are ordered by the service, never by a clock of this machine. One request runs at a time, so no answer overtakes another.
 */

import { eventsOf } from "./events.js";
import { isProblem, notUnderstood, type OnrampProblem } from "./problem.js";
import type { Session } from "./status.js";
import { asProblem, childOf, type RequestOptions, type Transport } from "./transport.js";

/** How the service is followed at the moment. */
export type Live = "stream" | "poll" | "offline";

/** What to be told while a session is followed. */
export interface FollowOptions extends RequestOptions {
  /** Called when the connection changes. Only `offline` needs words: the purchase goes on, and updates return by themselves. */
  onLive?: ((live: Live) => void) | undefined;
}

/** The stream sends a comment every 15 s: after three of them are missing, the connection is dead. */
const SILENCE_MS = 45_000;
const RECONNECT_MS = 1_000;
const POLL_MS = 4_000;
const MAX_OFFLINE_MS = 15_000;
const FAILURES_BEFORE_POLLING = 2;
const POLLS_BEFORE_STREAM = 8;
/** After a purchase is settled its connection is given back; a few slow looks show the confirmations, and would show a reorganised chain. */
const SETTLED_MS = 15_000;
const SETTLED_POLLS = 8;
const EVENTS = ["online", "offline", "pageshow"];
const SETTLED = new Set(["completed", "rejected"]);

/**
 * Yield the session as it is, and then each newer state. Ends about two minutes after `completed` or `rejected`, and when the signal is
 * aborted. A service that does not answer is asked again for ever. Throws OnrampProblem for what will not change, such as `not_found`.
 */
export async function* follow(transport: Transport, id: string, options: FollowOptions = {}): AsyncGenerator<Session, void, undefined> {
  const { signal } = options;
  const follower = new Follower(transport, id, options.onLive);
  const isNews = newest();
  let round = new AbortController();
  const nextRound = () => {
    round.abort();
    round = childOf(signal);
    return round.signal;
  };
  const stopListening = onReturn(() => round.abort());
  try {
    while (!signal?.aborted && !follower.isOver) {
      const looking = nextRound();
      let pause = 0;
      try {
        for await (const session of follower.next(looking)) if (isNews(session)) yield session;
        pause = follower.pause;
      } catch (error) {
        // An abort of this round alone is a call to look again.
        if (!looking.aborted) pause = follower.failed(asProblem(error, signal));
      }
      await transport.wait(pause * (0.8 + 0.4 * Math.random()), nextRound());
    }
  } finally {
    stopListening();
    round.abort();
  }
}

/** Decides how to look next: by the stream, by polling, or rarely because the purchase is settled. */
class Follower {
  #transport: Transport;
  #path: `/api/v1/onramp/sessions/${string}`;
  #onLive: ((live: Live) => void) | undefined;
  #live: Live | undefined;
  #lastEvent = "";
  #failures = 0;
  #polls = 0;
  #settledPolls = 0;
  #settled = false;

  constructor(transport: Transport, id: string, onLive: ((live: Live) => void) | undefined) {
    this.#transport = transport;
    this.#path = `/api/v1/onramp/sessions/${encodeURIComponent(id)}`;
    this.#onLive = onLive;
  }

  get isOver(): boolean {
    return this.#settledPolls >= SETTLED_POLLS;
  }

  /** Milliseconds until the next look. */
  get pause(): number {
    if (this.#settled) return SETTLED_MS;
    return this.#failures < FAILURES_BEFORE_POLLING ? RECONNECT_MS : POLL_MS;
  }

  next(signal: AbortSignal): AsyncGenerator<Session> {
    return this.#settled || this.#failures >= FAILURES_BEFORE_POLLING ? this.#poll(signal) : this.#listen(signal);
  }

  /** Count a failure and return how long to wait. Throws the problem if asking again can only give the same answer. */
  failed(problem: unknown): number {
    if (!isProblem(problem) || isFinal(problem)) throw problem;
    this.#failures += 1;
    if (this.#failures >= FAILURES_BEFORE_POLLING) this.#report("offline");
    const backoff = Math.min(RECONNECT_MS * 2 ** (this.#failures - 1), MAX_OFFLINE_MS);
    return problem.retryAfter === null ? backoff : problem.retryAfter * 1000;
  }

  async *#poll(signal: AbortSignal): AsyncGenerator<Session> {
    const session = await this.#transport.call<"read_session">("GET", this.#path, { signal });
    this.#report("poll");
    this.#settle(session);
    if (this.#settled) this.#settledPolls += 1;
    else if (++this.#polls >= POLLS_BEFORE_STREAM) this.#failures = this.#polls = 0;
    yield session;
  }

  async *#listen(signal: AbortSignal): AsyncGenerator<Session> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.#lastEvent) headers["Last-Event-ID"] = this.#lastEvent;
    const { response, allow, close } = await this.#transport.open("GET", `${this.#path}/events`, { headers, signal });
    try {
      // Not a page of a proxy, say.
      if (!response.body || !response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw notUnderstood(response.status);
      const onBytes = () => {
        allow(SILENCE_MS);
        this.#report("stream");
      };
      for await (const { id, event, data } of eventsOf(response.body, onBytes)) {
        if (event !== "session") continue;
        this.#failures = 0;
        this.#lastEvent = id;
        const session = JSON.parse(data) as Session;
        this.#settle(session);
        yield session;
        if (this.#settled) return;
      }
      // The service ends its streams when it restarts. One that ended without an event counts as a failure.
      this.#failures += 1;
    } finally {
      close();
    }
  }

  #settle(session: Session): void {
    this.#settled = SETTLED.has(session.status);
    if (!this.#settled) this.#settledPolls = 0;
  }

  #report(live: Live): void {
    if (live !== this.#live) this.#onLive?.((this.#live = live));
  }
}

/**
 * Return a function that says whether a state is news. An older one is not, unless the next answer is older, too: then the service's
 * database was restored, and what it says now is true.
 */
export function newest(): (session: Session) => boolean {
  let latest: Session | undefined;
  let older = 0;
  return (session) => {
    const order = latest ? session.version - latest.version : 1;
    older = order < 0 ? older + 1 : 0;
    if (order === 0 || older === 1) return false;
    older = 0;
    latest = session;
    return true;
  };
}

/** Whether asking again can only give the same answer. A page of a proxy is no answer of the service. */
function isFinal(problem: OnrampProblem): boolean {
  const { code, status } = problem;
  return code !== "unexpected" && status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

/** Call back when the page is shown again, comes back from the back button's cache, or loses or regains its network; return a function that ends this. */
function onReturn(callback: () => void): () => void {
  const page = globalThis.document;
  const shown = () => page.visibilityState === "visible" && callback();
  page?.addEventListener("visibilitychange", shown);
  for (const name of EVENTS) globalThis.addEventListener?.(name, callback);
  return () => {
    page?.removeEventListener("visibilitychange", shown);
    for (const name of EVENTS) globalThis.removeEventListener?.(name, callback);
  };
}
