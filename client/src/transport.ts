/** One request to the service: its timeout, its problems, and the wallet's token. */

import { notUnderstood, OnrampProblem, problemOf, unreachable } from "./problem.js";
import type { Routes } from "./schema.js";

/** Milliseconds after which a request that got no answer counts as not answered. The service itself gives up sooner. */
const PATIENCE_MS = 30_000;

/** Wait some milliseconds, or less if the signal is aborted; never throws. */
export type Wait = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

/** What a request may carry. */
export interface RequestOptions {
  signal?: AbortSignal | undefined;
}

/** The parts of a request beside method and path. */
export interface Request extends RequestOptions {
  query?: object | undefined;
  body?: unknown;
  headers?: Record<string, string> | undefined;
  cache?: RequestCache | undefined;
  /** Send it with the wallet's token; without one, with the server's key. */
  asWallet?: boolean;
}

type Name = keyof Routes;

/** A response whose body is still to be read. */
export interface Opened {
  response: Response;
  /** Give up after so many milliseconds from now, instead of what was set before. */
  allow(milliseconds: number): void;
  /** End the exchange, whether or not the body was read. */
  close(): void;
}

/** Sends requests; an answer that is not a success is thrown as OnrampProblem. */
export interface Transport {
  readonly base: string;
  readonly wait: Wait;
  /** The token of the wallet that logged in, in memory only. */
  token: string | null;
  open(method: string, path: string, request?: Request): Promise<Opened>;
  call<N extends Name>(method: Routes[N]["method"], path: Routes[N]["path"], request?: Request): Promise<Routes[N]["answer"]>;
  blob(path: string, accept: string, request?: Request): Promise<Blob>;
}

/** Wait by a timer, which counts elapsed time and so does not depend on the clock being right. */
export const wait: Wait = (milliseconds, signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done);
  });

/** Return a controller that is aborted with this signal, too. AbortSignal.any is missing in browsers of 2022. */
export function childOf(signal: AbortSignal | undefined): AbortController {
  const child = new AbortController();
  const abort = () => child.abort(signal?.reason);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { signal: child.signal });
  return child;
}

/** Return a transport to the service at `baseUrl`. */
export function makeTransport(baseUrl: string, fetcher: typeof fetch, key: string | undefined, waiting: Wait): Transport {
  const base = baseUrl.replace(/\/+$/, "");

  async function open(method: string, path: string, request: Request = {}): Promise<Opened> {
    const headers: Record<string, string> = { ...request.headers };
    const bearer = (request.asWallet && transport.token) || key;
    if (bearer) headers["Authorization"] = `Bearer ${bearer}`;
    const exchange = childOf(request.signal);
    const options: RequestInit = { method, headers, credentials: "omit", cache: request.cache ?? "no-store", signal: exchange.signal };
    if (request.body !== undefined) {
      headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(request.body);
    }
    const query = `${new URLSearchParams(Object.entries(request.query ?? {}).filter(([, value]) => value != null))}`;
    let timer = setTimeout(() => exchange.abort(), PATIENCE_MS);
    const close = () => {
      clearTimeout(timer);
      exchange.abort();
    };
    try {
      const response = await fetcher(base + path + (query && `?${query}`), options);
      if (!response.ok) throw await problemOf(response);
      const allow = (milliseconds: number) => {
        clearTimeout(timer);
        timer = setTimeout(() => exchange.abort(), milliseconds);
      };
      return { response, allow, close };
    } catch (error) {
      close();
      if (request.asWallet && (error as OnrampProblem).status === 401) transport.token = null;
      throw asProblem(error, request.signal);
    }
  }

  async function read<T>(opened: Opened, request: Request | undefined, body: (response: Response) => Promise<T>): Promise<T> {
    try {
      return await body(opened.response);
    } catch (error) {
      throw asProblem(error, request?.signal);
    } finally {
      opened.close();
    }
  }

  const transport: Transport = {
    base,
    wait: waiting,
    token: null,
    open,
    async call(method, path, request) {
      return read(await open(method, path, request), request, (response) => response.json());
    },
    async blob(path, accept, request) {
      return read(await open("GET", path, { ...request, headers: { Accept: accept } }), request, (response) => response.blob());
    },
  };
  return transport;
}

/** Return what to throw for a failed exchange: the caller's own abort, the service's problem, or one of this client's. */
export function asProblem(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof OnrampProblem) return error;
  return error instanceof SyntaxError ? notUnderstood(200) : unreachable();
}
