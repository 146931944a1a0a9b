/** One connection for each session, however many components follow it. */

import type { Onramp } from "../client.js";
import type { Live } from "../follow.js";
import { isProblem, type OnrampProblem } from "../problem.js";
import type { Session } from "../status.js";

interface Followed {
  session: Session | null;
  live: Live | null;
  problem: OnrampProblem | null;
}

/** A session as a store: it is followed while someone listens. */
export interface SharedSession {
  subscribe(listener: () => void): () => void;
  getSnapshot(): Followed;
  getServerSnapshot(): Followed;
}

const NOTHING: Followed = { session: null, live: null, problem: null };
const none: SharedSession = { subscribe: () => () => {}, getSnapshot: () => NOTHING, getServerSnapshot: () => NOTHING };
const all = new WeakMap<Onramp, Map<string, SharedSession>>();

/** Return the store of a session; one for all who ask for it. */
export function sharedSession(onramp: Onramp, id: string | null): SharedSession {
  if (id === null) return none;
  const known = all.get(onramp) ?? new Map<string, SharedSession>();
  all.set(onramp, known);
  const shared = known.get(id) ?? followed(onramp, id);
  known.set(id, shared);
  return shared;
}

function followed(onramp: Onramp, id: string): SharedSession {
  const listeners = new Set<() => void>();
  let now = NOTHING;
  let end: AbortController | null = null;
  const change = (part: Partial<Followed>) => {
    now = { ...now, ...part };
    for (const listener of [...listeners]) listener();
  };
  const run = async ({ signal }: AbortController) => {
    try {
      const onLive = (live: Live) => signal.aborted || change({ live });
      for await (const session of onramp.sessions.follow(id, { signal, onLive })) change({ session, problem: null });
    } catch (problem) {
      if (!signal.aborted && isProblem(problem)) change({ problem });
    }
  };
  return {
    subscribe(listener) {
      listeners.add(listener);
      if (!end) void run((end = new AbortController()));
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        end?.abort();
        end = null;
      };
    },
    getSnapshot: () => now,
    getServerSnapshot: () => NOTHING,
  };
}
