/**
 * For the tests of a dApp: a service in memory that answers like the real one, a session in each status, and a node for `verifyDelivery`.
 *
 * The fake sells nothing and signs nothing; `onramp dev` is the whole service on one machine, with a card form and a chain.
 */

import type { Eip1193 } from "./auth.js";
import { createOnramp, type Onramp } from "./client.js";
import { MUSD_DECIMALS, parseUnits } from "./money.js";
import type { ConfigResponse, CreateSession, Proof } from "./schema.js";
import type { Session, SessionStatus } from "./status.js";
import { MUSD } from "./verify.js";

const CHAIN_ID = 31611;
const TOKEN = MUSD[CHAIN_ID] ?? "";
const SENDER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const WALLET = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955";
const HASH = `0x${"ab".repeat(32)}`;
const BLOCK = `0x${"cd".repeat(32)}`;

type PaymentStatus = Session["payment"]["status"];
type DeliveryStatus = Session["delivery"]["status"];
const PARTS: Record<SessionStatus, [PaymentStatus, DeliveryStatus]> = {
  awaiting_payment: ["initialized", "awaiting"],
  processing: ["fulfillment_processing", "awaiting"],
  delivering: ["fulfillment_complete", "awaiting"],
  completed: ["fulfillment_complete", "confirmed"],
  rejected: ["rejected", "awaiting"],
  expired: ["expired", "awaiting"],
  attention: ["fulfillment_complete", "mismatch"],
};

/** Return a session in this status, with every other field as the service would answer it; `changes` replaces fields. */
export function sessionIn(status: SessionStatus, changes: Partial<Session> = {}, version = 1): Session {
  // A status of a later version of the service looks like one that this version does not know.
  const [payment, delivery] = PARTS[status] ?? PARTS.delivering;
  const at = new Date(Date.UTC(2026, 0, 1, 0, 0, version)).toISOString();
  const isPaid = payment === "fulfillment_complete";
  const isSent = delivery === "confirmed";
  return {
    id: "ons_test",
    walletAddress: WALLET,
    sourceAmount: "100.00",
    sourceCurrency: "usd",
    status,
    payment: {
      status: payment,
      stripeSessionId: "cos_test",
      destinationAmount: isPaid ? "99.50" : null,
      destinationCurrency: "usdc",
      destinationNetwork: "ethereum",
      updatedAt: at,
    },
    delivery: {
      status: delivery,
      reason: null,
      mode: "payout",
      expectedAmount: isPaid ? "99.50" : null,
      txHash: isSent ? HASH : null,
      confirmations: isSent ? 3 : 0,
      overdue: false,
      explorerUrl: null,
      updatedAt: at,
    },
    version,
    reference: null,
    returnUrl: null,
    locale: null,
    redirectUrl: null,
    createdAt: at,
    updatedAt: at,
    expiresAt: new Date(Date.UTC(2026, 0, 2)).toISOString(),
    ...changes,
  };
}

/** Return the proof of a session's delivery, as the service answers it. */
export function proofOf(session: Session): Proof {
  const { status, reason, expectedAmount, txHash, confirmations, explorerUrl } = session.delivery;
  const isSent = txHash !== null;
  return {
    status,
    reason,
    token: TOKEN,
    from: isSent ? SENDER : null,
    to: session.walletAddress,
    amount: isSent ? expectedAmount : null,
    expectedAmount,
    txHash,
    logIndex: isSent ? 0 : null,
    blockNumber: isSent ? 7 : null,
    blockHash: isSent ? BLOCK : null,
    confirmations,
    agreedBy: isSent ? ["alpha", "beta"] : [],
    explorerUrl,
    chainId: CHAIN_ID,
  };
}

/** The configuration of the fake service. */
export const CONFIG: ConfigResponse = {
  environment: "development",
  chain: { id: CHAIN_ID, name: "Mezo testnet", explorerUrl: null, rpcUrls: ["https://rpc.onramp.test"] },
  musd: { address: TOKEN, decimals: MUSD_DECIMALS },
  currencies: ["usd", "eur"],
  limits: { usd: { min: "1.00", max: "10000.00" }, eur: { min: "1.00", max: "10000.00" } },
  stripe: { publishableKey: "pk_test", scripts: ["https://stripe.test/stripe.js"] },
  sessionCreation: "open",
  salesPaused: false,
  locales: ["en"],
  merchantName: null,
  supportEmail: null,
};

/** Return a node that has the transfer of a completed session; `changes` replaces its answers by method. */
export function fakeNode(session: Session, changes: Record<string, unknown> = {}): Eip1193 {
  const word = (text: string) => `0x${text.replace(/^0x/, "").toLowerCase().padStart(64, "0")}`;
  const amount = parseUnits(session.delivery.expectedAmount ?? "0", MUSD_DECIMALS);
  const topics = ["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef", word(SENDER), word(session.walletAddress)];
  const log = { address: TOKEN, topics, data: word(amount.toString(16)), logIndex: "0x0" };
  const answers: Record<string, unknown> = {
    eth_chainId: `0x${CHAIN_ID.toString(16)}`,
    eth_blockNumber: "0x9",
    eth_getBlockByNumber: { hash: BLOCK },
    eth_getTransactionReceipt: { status: "0x1", transactionHash: HASH, blockNumber: "0x7", blockHash: BLOCK, logs: [log] },
    ...changes,
  };
  return {
    request({ method }) {
      return method in answers ? Promise.resolve(answers[method]) : Promise.reject(new Error(`the fake node has no ${method}`));
    },
  };
}

/** One request that the fake has received. */
export interface FakeRequest {
  method: string;
  path: string;
  headers: Headers;
  body: unknown;
}

/** Return headers that sign a webhook's body, for the tests of a receiver. `secret`: `whsec_...`; `timestamp`: seconds since 1970. */
export async function signWebhook(body: string, secret: string, id: string, timestamp: number): Promise<Record<string, string>> {
  const raw = Uint8Array.from(atob(secret.replace("whsec_", "")), (sign) => sign.charCodeAt(0));
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const content = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const signature = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign("HMAC", key, content))));
  return { "webhook-id": id, "webhook-timestamp": `${timestamp}`, "webhook-signature": `v1,${signature}` };
}

type Stream = ReadableStreamDefaultController<Uint8Array>;

/** A service in memory. */
export class FakeOnramp {
  /** Give it to `createOnramp`, or use `client()`. */
  readonly fetch: typeof globalThis.fetch;
  readonly requests: FakeRequest[] = [];
  /** No request gets an answer. */
  offline = false;
  /** Streams are refused, as some proxies do. */
  noStreams = false;
  #sessions = new Map<string, Session>();
  #versions = new Map<string, number>();
  #keys = new Map<string, { body: string; id: string }>();
  #streams = new Map<Stream, string>();
  #failures: (Response | null)[] = [];

  constructor() {
    this.fetch = (input, init) => this.#answer(new Request(input, init), init?.signal ?? null);
  }

  /** Return a client of this service; `pace` shortens its waits, by default a thousandfold. */
  client(pace = 0.001): Onramp {
    const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds * pace));
    return createOnramp({ baseUrl: "https://onramp.test", fetch: this.fetch, wait });
  }

  /** Move a session to another status, and tell its followers. */
  move(id: string, status: SessionStatus, changes: Partial<Session> = {}): Session {
    const version = (this.#versions.get(id) ?? 0) + 1;
    const { walletAddress, sourceAmount, sourceCurrency, reference, createdAt } = this.#sessions.get(id) ?? sessionIn(status);
    const kept = { id, walletAddress, sourceAmount, sourceCurrency, reference, createdAt };
    const session = sessionIn(status, { ...kept, ...changes }, version);
    this.#sessions.set(id, session);
    this.#versions.set(id, version);
    for (const [stream, followed] of this.#streams) if (followed === id) stream.enqueue(this.#event(id));
    return session;
  }

  /** Forget a session, as a database does that was restored from before it. */
  forget(id: string): void {
    this.#sessions.delete(id);
  }

  /** The next request fails: with this status and code, or without an answer. Call it again for the one after. */
  failNext(status = 0, code = "unreachable", headers: Record<string, string> = {}): void {
    this.#failures.push(status ? problem(status, code, headers) : null);
  }

  /** Cut every stream in the middle, as a restart or a network does. */
  cut(): void {
    for (const stream of this.#streams.keys()) stream.error(new TypeError("terminated"));
    this.#streams.clear();
  }

  get streams(): number {
    return this.#streams.size;
  }

  async #answer(request: Request, signal: AbortSignal | null): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = request.method === "POST" ? await request.json() : null;
    signal?.throwIfAborted();
    this.requests.push({ method: request.method, path: pathname, headers: request.headers, body });
    const failure = this.#failures.shift();
    if (this.offline || failure === null) throw new TypeError("fetch failed");
    if (failure) return failure;
    if (pathname === "/api/v1/onramp/config") return Response.json(CONFIG);
    const [, id = "", part] = /^\/api\/v1\/onramp\/sessions\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? [];
    if (request.method === "POST" && pathname === "/api/v1/onramp/sessions") return this.#create(request, body as CreateSession);
    const session = this.#sessions.get(id);
    if (!session) return problem(404, "not_found");
    if (part === undefined) return Response.json(session);
    if (part === "delivery") return Response.json(proofOf(session));
    return part === "events" ? this.#stream(request, signal, id) : problem(404, "not_found");
  }

  #create(request: Request, body: CreateSession): Response {
    const key = request.headers.get("Idempotency-Key") ?? crypto.randomUUID();
    const text = JSON.stringify(body);
    const known = this.#keys.get(key) ?? { body: text, id: `ons_${this.#keys.size + 1}` };
    if (known.body !== text) return problem(409, "idempotency_key_reused");
    const { walletAddress, sourceAmount, sourceCurrency, reference = null } = body;
    if (!this.#keys.has(key)) this.move(known.id, "awaiting_payment", { walletAddress, sourceAmount, sourceCurrency, reference });
    this.#keys.set(key, known);
    const secrets = { clientSecret: `${known.id}_secret`, publishableKey: "pk_test", redirectUrl: `https://stripe.test/${known.id}` };
    return Response.json({ ...this.#sessions.get(known.id), ...secrets }, { status: 201 });
  }

  #stream(request: Request, signal: AbortSignal | null, id: string): Response {
    if (this.noStreams) return new Response("<html>", { headers: { "Content-Type": "text/html" } });
    const seen = Number(request.headers.get("Last-Event-ID") ?? 0);
    let own: Stream;
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        own = stream;
        this.#streams.set(stream, id);
        signal?.addEventListener("abort", () => this.#streams.delete(stream) && stream.error(signal.reason));
        stream.enqueue(new TextEncoder().encode("retry: 2000\n"));
        if ((this.#versions.get(id) ?? 0) > seen) stream.enqueue(this.#event(id));
      },
      cancel: () => void this.#streams.delete(own),
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }

  #event(id: string): Uint8Array {
    const data = JSON.stringify(this.#sessions.get(id));
    return new TextEncoder().encode(`id: ${this.#versions.get(id)}\nevent: session\ndata: ${data}\n\n`);
  }
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = { type: `https://onramp.test/problems/${code}`, title: code, status, detail: `The fake answers ${code}.`, code, requestId: "req_fake" };
  return Response.json(body, { status, headers: { "Content-Type": "application/problem+json", ...headers } });
}
