/** The client: one function for each route that a dApp needs. */

import { makeAuth, type Auth } from "./auth.js";
import { follow, type FollowOptions } from "./follow.js";
import type { ConfigResponse, CreatedSession, CreateSession, History, Proof, QuoteResponse, Receipt, Routes } from "./schema.js";
import type { Session } from "./status.js";
import { makeTransport, wait, type RequestOptions, type Wait } from "./transport.js";

/** Where the service is, and how to reach it. */
export interface OnrampOptions {
  /** The service's origin, such as `https://pay.example`. */
  baseUrl: string;
  /** An API key of role `dapp`. Use it on a server only, because it allows anyone who has it to create sessions. */
  key?: string;
  /** Replaces the platform's fetch, for tests and for servers that add something to each request. */
  fetch?: typeof globalThis.fetch;
  /** Replaces the timer between two tries, for tests. */
  wait?: Wait;
}

/** Options of a create request. */
export interface CreateOptions extends RequestOptions {
  /** 16 to 255 characters; a random UUID for each purchase. The same key and body get the same session for 24 h. */
  idempotencyKey: string;
}

/** The purchases. */
export interface Sessions {
  create(body: CreateSession, options: CreateOptions): Promise<CreatedSession>;
  get(id: string, options?: RequestOptions): Promise<Session>;
  /** Yield the session now and at each change; see `follow`. */
  follow(id: string, options?: FollowOptions): AsyncGenerator<Session, void, undefined>;
  delivery(id: string, options?: RequestOptions): Promise<Proof>;
  receipt(id: string, options?: RequestOptions): Promise<Receipt>;
  receiptPdf(id: string, options?: RequestOptions): Promise<Blob>;
  /** The purchases of the wallet that logged in, newest first; with a server's key those of all wallets, for example of one `reference`. */
  list(query?: Routes["list_sessions"]["query"], options?: RequestOptions): Promise<History>;
  /** The same as a table (CSV), all of it, for the wallet that logged in. */
  listCsv(options?: RequestOptions): Promise<Blob>;
  /** Have the service look at the chain now, for a purchase of the wallet that logged in. */
  verify(id: string, options?: RequestOptions): Promise<Proof>;
}

/** The service, as a dApp uses it. */
export interface Onramp {
  readonly baseUrl: string;
  readonly wait: Wait;
  readonly auth: Auth;
  readonly sessions: Sessions;
  /** The chain, the token, currencies, limits, Stripe's scripts, and whether sales are paused. Cached for seconds. */
  config(options?: RequestOptions): Promise<ConfigResponse>;
  quote(query: Routes["quote"]["query"], options?: RequestOptions): Promise<QuoteResponse>;
}

/** Return a client. Nothing is sent before a method is called. */
export function createOnramp(options: OnrampOptions): Onramp {
  const fetcher = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const transport = makeTransport(options.baseUrl, fetcher, options.key, options.wait ?? wait);
  const call = transport.call;
  const sessions = "/api/v1/onramp/sessions";
  const of = (id: string) => `${sessions}/${encodeURIComponent(id)}` as const;
  return {
    baseUrl: transport.base,
    wait: transport.wait,
    auth: makeAuth(transport),
    config: (more) => call<"config">("GET", "/api/v1/onramp/config", { ...more, cache: "default" }),
    quote: (query, more) => call<"quote">("GET", "/api/v1/onramp/quotes", { ...more, query }),
    sessions: {
      create: (body, { idempotencyKey, signal }) =>
        call<"create_session">("POST", sessions, { body, signal, headers: { "Idempotency-Key": idempotencyKey } }),
      get: (id, more) => call<"read_session">("GET", of(id), more),
      follow: (id, more) => follow(transport, id, more),
      delivery: (id, more) => call<"session_delivery">("GET", `${of(id)}/delivery`, more),
      receipt: (id, more) => call<"session_receipt">("GET", `${of(id)}/receipt`, more),
      receiptPdf: (id, more) => transport.blob(`${of(id)}/receipt`, "application/pdf", more),
      list: (query, more) => call<"list_sessions">("GET", sessions, { ...more, query, asWallet: true }),
      listCsv: (more) => transport.blob(sessions, "text/csv", { ...more, asWallet: true }),
      verify: (id, more) => call<"verify_session">("POST", `${of(id)}/verify`, { ...more, asWallet: true }),
    },
  };
}
