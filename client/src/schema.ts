/** The types of the service's routes. Written by `make docs` from the route table: do not edit. */

/** The `data` of `alarm.*` and of `treasury.balance_low`. */
export interface AlarmData {
  id: string;
  /** Such as `delivery.overdue`; the runbook lists all. */
  name: string;
  /** `page`, `ticket` or `info`. */
  severity: string;
  /** The id of what it is about. */
  subject: string;
  /** What happened. */
  sentence: string;
  raisedAt: string;
  endedAt: string | null;
}

/** The request for a message to sign: the wallet that wants to log in. */
export interface AskNonce {
  /** A 0x address, or a bitcoin address of Mezo Passport (legacy, nested or native SegWit). */
  address: string;
}

/** The chain on which MUSD is delivered. */
export interface ChainResponse {
  id: number;
  name: string;
  explorerUrl: string | null;
  /** Nodes that a wallet may be given to add the chain: `PUBLIC_RPC_URLS`. */
  rpcUrls: string[];
}

/** The facts about this service that a dApp needs before it sells. */
export interface ConfigResponse {
  environment: "development" | "production";
  chain: ChainResponse;
  musd: TokenResponse;
  /** What a purchase may be paid in. */
  currencies: string[];
  /** By currency. */
  limits: Record<string, LimitResponse>;
  stripe: StripeResponse;
  /** `keyed`: only a server with an API key starts purchases, and the page follows them by their ids. */
  sessionCreation: "open" | "keyed";
  salesPaused: boolean;
  /** The languages that buyers are served in, as BCP 47 tags. */
  locales: string[];
  merchantName: string | null;
  supportEmail: string | null;
}

/** The body of a create request. */
export interface CreateSession {
  /** Where to send the MUSD; a mixed-case address must have a valid checksum. */
  walletAddress: string;
  /** What the buyer spends, before fees, as decimal text. */
  sourceAmount: string;
  /** `usd` or `eur`. */
  sourceCurrency: string;
  /** The buyer's e-mail address. It is stored encrypted and never returned. */
  email?: string | null;
  /**
   * The dApp's own name for this purchase, such as an order's id: 1 to 200 printable characters without `<` and `>`.
   * Anyone who holds the session's id can read it, so it must not contain personal data.
   */
  reference?: string | null;
  /**
   * Where the checkout page leads the buyer back to: a URL of at most 2048 characters whose origin is in
   * `ALLOWED_ORIGINS`.
   */
  returnUrl?: string | null;
  /**
   * The buyer's language as a BCP 47 tag, such as `de-CH`. Its language must be one of the configuration's `locales`.
   */
  locale?: string | null;
}

/** A session as its creator sees it, in the response to create and in its replay. */
export interface CreatedSession {
  id: string;
  walletAddress: string;
  sourceAmount: string;
  sourceCurrency: string;
  /**
   * The state of the purchase, for people. `completed` is final. `rejected` and `expired` are final unless money
   * arrives later, which is honoured. `attention`: paid, but late or wrong; an operator is alerted, and it may still
   * complete.
   */
  status: "awaiting_payment" | "processing" | "delivering" | "completed" | "rejected" | "expired" | "attention";
  payment: Payment;
  delivery: Delivery;
  /**
   * Orders the states of this session: each change of what this document shows increases it. Ignore a state with a
   * smaller one.
   */
  version: number;
  /** As given at creation. */
  reference: string | null;
  /** As given at creation. */
  returnUrl: string | null;
  /** As given at creation, in the usual case, such as `pt-BR`. */
  locale: string | null;
  /** Stripe's own page for this purchase; returned to the creator only. */
  redirectUrl: string | null;
  createdAt: string;
  updatedAt: string;
  expiresAt: string;
  /** For Stripe's component. It is returned nowhere else and never stored. */
  clientSecret: string | null;
  /** For Stripe's component. */
  publishableKey: string;
}

/** The delivery of MUSD, as the chain shows it. */
export interface Delivery {
  status: "awaiting" | "seen" | "confirmed" | "mismatch";
  /**
   * Why it waits: `waiting_for_second_node`, `chain_paused`, `payouts_paused`, `awaiting_approval`, `screening`,
   * `insufficient` or `reorg`; null if nothing holds it.
   */
  reason: string | null;
  mode: "payout" | "observe";
  /** MUSD that the buyer is owed; null until the payment is complete. */
  expectedAmount: string | null;
  txHash: string | null;
  confirmations: number;
  overdue: boolean;
  explorerUrl: string | null;
  updatedAt: string;
}

/** The `data` of `webhook.disabled`: another endpoint, to which nothing is sent any more. */
export interface DisabledData {
  endpointId: string;
  /** The host of its URL. */
  host: string;
  /** `gone` (its receiver answered 410), `failing` (no success for five days) or `secret_unreadable`. */
  reason: string;
  disabledAt: string;
}

/**
 * The fees of an estimate. `network` and `transaction` are in the source currency, in addition to the amount; `payout`
 * is in MUSD, deducted from what is delivered.
 */
export interface Fees {
  network: string;
  transaction: string;
  payout: string;
}

/** A page of purchases, newest first. */
export interface History {
  data: SessionResponse[];
  nextCursor: string | null;
}

/** The `data` of `key.*`: an API key, without its secret and its person. */
export interface KeyData {
  id: string;
  name: string;
  role: string;
  createdAt: string;
  revokedAt: string | null;
}

/** The smallest and the largest purchase in a currency, as decimal text. */
export interface LimitResponse {
  min: string;
  max: string;
}

/** The request to log in: the message, unchanged, and its signature. */
export interface Login {
  message: string;
  signature: string;
}

/** The response with a token, and the 0x address that owns the deliveries. */
export interface LoginResponse {
  token: string;
  expiresAt: string;
  address: string;
}

/** The response that names the wallet whose tokens ended. */
export interface LogoutResponse {
  address: string;
}

/** The response with the message to sign. */
export interface NonceResponse {
  nonce: string;
  message: string;
  expiresAt: string;
}

/** The `data` of `treasury.paused` and `treasury.resumed`. */
export interface PauseData {
  /** `sales`, `payouts` or `sweeps`. */
  scope: string;
  /** `paused` or `running`. */
  status: string;
  /** The id of the key that ordered it. */
  by: string;
  at: string;
}

/** The payment of a session, with its status as Stripe names it. */
export interface Payment {
  status:
    | "created"
    | "initialized"
    | "requires_payment"
    | "fulfillment_processing"
    | "fulfillment_complete"
    | "rejected"
    | "expired";
  stripeSessionId: string | null;
  /** What Stripe delivered; null until then. */
  destinationAmount: string | null;
  destinationCurrency: string;
  destinationNetwork: string;
  updatedAt: string;
}

/** The `data` of `payout.*`: a payout at that moment, without its history. */
export interface PayoutData {
  id: string;
  sessionId: string;
  asset: string;
  amount: string;
  to: string;
  status: string;
  /** Why it is held or waits. */
  reason: string | null;
  transactionId: string | null;
  txHash: string | null;
  createdAt: string;
  updatedAt: string;
}

/** The `data` of `treasury.policy_changed`: the version that is active now. */
export interface PolicyData {
  id: string;
  version: number;
  /** The rules that it loosened. */
  loosens: string[];
  proposedBy: string;
  approvedBy: string | null;
  updatedAt: string;
}

/** The transfer that proves a delivery; fields are null until the chain shows them. */
export interface Proof {
  status: "awaiting" | "seen" | "confirmed" | "mismatch";
  reason: string | null;
  token: string;
  from: string | null;
  to: string;
  amount: string | null;
  expectedAmount: string | null;
  txHash: string | null;
  logIndex: number | null;
  blockNumber: number | null;
  blockHash: string | null;
  confirmations: number;
  agreedBy: string[];
  explorerUrl: string | null;
  chainId: number;
}

/** An estimate; what the completed purchase delivers may differ. */
export interface QuoteResponse {
  sourceAmount: string;
  sourceCurrency: string;
  destinationAmount: string;
  destinationCurrency: string;
  fees: Fees;
  total: string;
  musdAmount: string;
}

/** The document that a buyer keeps. */
export interface Receipt {
  sessionId: string;
  reference?: string | null;
  status: "awaiting_payment" | "processing" | "delivering" | "completed" | "rejected" | "expired" | "attention";
  merchantName: string | null;
  merchantAddress: string | null;
  supportEmail: string | null;
  walletAddress: string;
  sourceAmount: string;
  sourceCurrency: string;
  destinationAmount: string | null;
  destinationCurrency: string;
  destinationNetwork: string;
  payoutFee: string | null;
  musdAmount: string | null;
  chainId: number;
  token: string;
  txHash: string | null;
  blockNumber: number | null;
  explorerUrl: string | null;
  stripeSessionId: string | null;
  createdAt: string;
  paidAt: string | null;
  confirmedAt: string | null;
}

/** Codes that the HTTP server may answer to any request. */
export type ServerProblemCode = "malformed_request" | "method_not_allowed" | "request_timeout" | "uri_too_long" | "encoding_unsupported" | "expectation_failed" | "too_many_connections" | "headers_too_large" | "internal_error" | "timeout" | "http_version_unsupported" | "http_error";

/** One event of a session's stream, as a browser's `EventSource` passes it on. */
export interface SessionEvent {
  /** The session's `version`. */
  id: string;
  event: "session";
  /** The session at that moment: a SessionResponse as JSON, on one line. */
  data: string;
}

/** A session as anyone who holds its id may see it. */
export interface SessionResponse {
  id: string;
  walletAddress: string;
  sourceAmount: string;
  sourceCurrency: string;
  /**
   * The state of the purchase, for people. `completed` is final. `rejected` and `expired` are final unless money
   * arrives later, which is honoured. `attention`: paid, but late or wrong; an operator is alerted, and it may still
   * complete.
   */
  status: "awaiting_payment" | "processing" | "delivering" | "completed" | "rejected" | "expired" | "attention";
  payment: Payment;
  delivery: Delivery;
  /**
   * Orders the states of this session: each change of what this document shows increases it. Ignore a state with a
   * smaller one.
   */
  version: number;
  /** As given at creation. */
  reference: string | null;
  /** As given at creation. */
  returnUrl: string | null;
  /** As given at creation, in the usual case, such as `pt-BR`. */
  locale: string | null;
  /** Stripe's own page for this purchase; returned to the creator only. */
  redirectUrl: string | null;
  createdAt: string;
  updatedAt: string;
  expiresAt: string;
}

/** The values that a page needs to show Stripe's form. */
export interface StripeResponse {
  publishableKey: string;
  /** URLs of the scripts to load, in this order; Stripe allows no copies. */
  scripts: string[];
}

/** The `data` of `sweep.*` and of `treasury.ceiling_exceeded`: a sweep at that moment, without its history. */
export interface SweepData {
  id: string;
  asset: string;
  amount: string;
  to: string;
  status: string;
  /** Why it is held or waits; if nothing holds it, why it was planned. */
  reason: string;
  proposedBy: string;
  approvedBy: string | null;
  transactionId: string | null;
  txHash: string | null;
  createdAt: string;
  updatedAt: string;
}

/** The `data` of `webhook.test`. */
export interface TestData {
  /** The endpoint that is tested. */
  endpointId: string;
}

/** The MUSD token. */
export interface TokenResponse {
  address: string;
  decimals: number;
}

/** The body of a webhook. Its `type` says what its `data` is. */
export type WebhookMessage =
  | {
      type:
        | "session.created"
        | "session.processing"
        | "session.delivering"
        | "session.completed"
        | "session.rejected"
        | "session.expired"
        | "session.attention"
        | "session.reopened"
        | "session.updated"
        | "delivery.seen"
        | "delivery.confirmed"
        | "delivery.mismatch"
        | "delivery.reorged";
      timestamp: string;
      data: SessionResponse;
    }
  | {
      type:
        | "payout.held"
        | "payout.awaiting_approval"
        | "payout.final"
        | "payout.reverted";
      timestamp: string;
      data: PayoutData;
    }
  | {
      type:
        | "sweep.proposed"
        | "sweep.awaiting_approval"
        | "sweep.held"
        | "sweep.final"
        | "treasury.ceiling_exceeded";
      timestamp: string;
      data: SweepData;
    }
  | {
      type:
        | "alarm.raised"
        | "alarm.cleared"
        | "treasury.balance_low";
      timestamp: string;
      data: AlarmData;
    }
  | {
      type:
        | "key.created"
        | "key.revoked";
      timestamp: string;
      data: KeyData;
    }
  | {
      type:
        | "treasury.paused"
        | "treasury.resumed";
      timestamp: string;
      data: PauseData;
    }
  | {
      type:
        | "treasury.policy_changed";
      timestamp: string;
      data: PolicyData;
    }
  | {
      type:
        | "webhook.test";
      timestamp: string;
      data: TestData;
    }
  | {
      type:
        | "webhook.disabled";
      timestamp: string;
      data: DisabledData;
    };

/** Each route: its method and path, what it takes and answers, and the codes of its problems. */
export interface Routes {
  /**
   * Start a purchase. With `SESSION_CREATION=keyed` it needs an API key of the role `dapp`, `operator` or `approver`.
   */
  create_session: {
    method: "POST";
    path: "/api/v1/onramp/sessions";
    body: CreateSession;
    answer: CreatedSession;
    codes:
      | "body_too_large"
      | "body_unreadable"
      | "crypto_onramp_amount_above_maximum"
      | "crypto_onramp_amount_below_minimum"
      | "crypto_onramp_currency_not_available_in_region"
      | "crypto_onramp_invalid_amount"
      | "crypto_onramp_invalid_destination_amount"
      | "crypto_onramp_invalid_source_amount"
      | "crypto_onramp_limit_exceeded"
      | "crypto_onramp_missing_identity_verification"
      | "crypto_onramp_quote_expired"
      | "crypto_onramp_transaction_blocked"
      | "crypto_onramp_unsupportable_customer"
      | "crypto_onramp_unsupported_country"
      | "crypto_onramp_wallet_address_invalid"
      | "customer_ip_address"
      | "database_unavailable"
      | "delivery_unavailable"
      | "email_invalid"
      | "encoding_unsupported"
      | "forbidden"
      | "idempotency_in_progress"
      | "idempotency_key_invalid"
      | "idempotency_key_reused"
      | "inventory_low"
      | "inventory_unknown"
      | "key_not_active"
      | "malformed_json"
      | "not_available"
      | "not_found"
      | "paused"
      | "rate_limited"
      | "screening_unavailable"
      | "stripe_echo_mismatch"
      | "stripe_unavailable"
      | "timeout"
      | "unauthorized"
      | "unsupported_media_type"
      | "validation_failed"
      | "wallet_limit";
  };
  /** Purchases, newest first: to a wallet its own, to an API key all of them. */
  list_sessions: {
    method: "GET";
    path: "/api/v1/onramp/sessions";
    query: { limit?: number; cursor?: string | null; reference?: string | null; };
    answer: History;
    codes:
      | "database_unavailable"
      | "forbidden"
      | "key_not_active"
      | "rate_limited"
      | "timeout"
      | "unauthorized"
      | "validation_failed";
  };
  /** A session. */
  read_session: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}`;
    answer: SessionResponse;
    codes: "database_unavailable" | "not_found" | "rate_limited" | "timeout";
  };
  /**
   * A session, live: a `session` event at once and at each change, with the SessionResponse of that moment as data. The
   * stream stays open: close it when you no longer need it.
   */
  session_events: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/events`;
    answer: SessionEvent;
    codes: "database_unavailable" | "not_found" | "rate_limited" | "timeout" | "too_many_streams";
  };
  /** The proof of delivery. */
  session_delivery: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/delivery`;
    answer: Proof;
    codes: "database_unavailable" | "not_found" | "rate_limited" | "timeout";
  };
  /** The receipt. */
  session_receipt: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/receipt`;
    answer: Receipt;
    codes: "database_unavailable" | "not_acceptable" | "not_found" | "rate_limited" | "timeout";
  };
  /** Check one of the wallet's own deliveries on the chain now. */
  verify_session: {
    method: "POST";
    path: `/api/v1/onramp/sessions/${string}/verify`;
    answer: Proof;
    codes:
      | "chain_unavailable"
      | "database_unavailable"
      | "forbidden"
      | "key_not_active"
      | "not_found"
      | "rate_limited"
      | "timeout"
      | "unauthorized";
  };
  /**
   * What a dApp needs to know before it sells: chain, token, currencies, limits, Stripe's key. Public, and cached for
   * seconds.
   */
  config: {
    method: "GET";
    path: "/api/v1/onramp/config";
    answer: ConfigResponse;
    codes: "database_unavailable" | "rate_limited" | "timeout";
  };
  /** Estimate what a purchase would cost and deliver. */
  quote: {
    method: "GET";
    path: "/api/v1/onramp/quotes";
    query: { sourceAmount: string; sourceCurrency: string; };
    answer: QuoteResponse;
    codes:
      | "crypto_onramp_amount_above_maximum"
      | "crypto_onramp_amount_below_minimum"
      | "crypto_onramp_currency_not_available_in_region"
      | "crypto_onramp_invalid_amount"
      | "crypto_onramp_invalid_destination_amount"
      | "crypto_onramp_invalid_source_amount"
      | "crypto_onramp_limit_exceeded"
      | "crypto_onramp_missing_identity_verification"
      | "crypto_onramp_quote_expired"
      | "crypto_onramp_transaction_blocked"
      | "crypto_onramp_unsupportable_customer"
      | "crypto_onramp_unsupported_country"
      | "crypto_onramp_wallet_address_invalid"
      | "customer_ip_address"
      | "database_unavailable"
      | "email_invalid"
      | "paused"
      | "quotes_busy"
      | "rate_limited"
      | "stripe_unavailable"
      | "timeout"
      | "validation_failed";
  };
  /** A message for a wallet to sign, good once, for ten minutes. */
  nonce: {
    method: "POST";
    path: "/api/v1/auth/nonce";
    body: AskNonce;
    answer: NonceResponse;
    codes:
      | "body_too_large"
      | "body_unreadable"
      | "database_unavailable"
      | "encoding_unsupported"
      | "login_unavailable"
      | "malformed_json"
      | "rate_limited"
      | "timeout"
      | "unsupported_media_type"
      | "validation_failed";
  };
  /** A signed message in, a token out. */
  login: {
    method: "POST";
    path: "/api/v1/auth/login";
    body: Login;
    answer: LoginResponse;
    codes:
      | "body_too_large"
      | "body_unreadable"
      | "chain_unavailable"
      | "database_unavailable"
      | "encoding_unsupported"
      | "malformed_json"
      | "rate_limited"
      | "signature_invalid"
      | "timeout"
      | "unsupported_media_type"
      | "validation_failed";
  };
  /** End every token of this wallet. */
  logout: {
    method: "POST";
    path: "/api/v1/auth/logout";
    answer: LogoutResponse;
    codes: "database_unavailable" | "forbidden" | "key_not_active" | "rate_limited" | "timeout" | "unauthorized";
  };
}
