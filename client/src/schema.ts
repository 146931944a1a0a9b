/** The types of the service's routes. Written by `make docs` from the route table: do not edit. */

/** The wallet that wants to log in. */
export interface AskNonce {
  /** A 0x address, or a bitcoin address of Mezo Passport (legacy, nested or native SegWit). */
  address: string;
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

/**
 * `network` and `transaction` in the source currency, in addition to the amount; `payout` in MUSD, deducted from it.
 */
export interface Fees {
  network: string;
  transaction: string;
  payout: string;
}

/** A wallet's own purchases, newest first. */
export interface History {
  data: SessionResponse[];
  nextCursor: string | null;
}

/** The message, unchanged, and its signature. */
export interface Login {
  message: string;
  signature: string;
}

/** A token, and the 0x address that owns the deliveries. */
export interface LoginResponse {
  token: string;
  expiresAt: string;
  address: string;
}

/** The wallet whose tokens ended. */
export interface LogoutResponse {
  address: string;
}

/** The message to sign. */
export interface NonceResponse {
  nonce: string;
  message: string;
  expiresAt: string;
}

/** The payment, in Stripe's statuses. */
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
  /** Stripe's own page for this purchase; returned to the creator only. */
  redirectUrl: string | null;
  createdAt: string;
  updatedAt: string;
  expiresAt: string;
}

/** Each route: its method and path, what it takes and answers, and the codes of its problems. */
export interface Routes {
  /** Start a purchase. */
  create_session: {
    method: "POST";
    path: "/api/v1/onramp/sessions";
    body: CreateSession;
    answer: CreatedSession;
    codes: string;
  };
  /** The wallet's own purchases, newest first. */
  list_sessions: {
    method: "GET";
    path: "/api/v1/onramp/sessions";
    query: { limit?: number; cursor?: string | null; };
    answer: History;
    codes: string;
  };
  /** A session. */
  read_session: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}`;
    answer: SessionResponse;
    codes: string;
  };
  /**
   * A session, live: a `session` event at once and at each change, with the SessionResponse of that moment as data. The
   * stream stays open: close it when you no longer need it.
   */
  session_events: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/events`;
    answer: unknown;
    codes: string;
  };
  /** The proof of delivery. */
  session_delivery: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/delivery`;
    answer: Proof;
    codes: string;
  };
  /** The receipt. */
  session_receipt: {
    method: "GET";
    path: `/api/v1/onramp/sessions/${string}/receipt`;
    answer: Receipt;
    codes: string;
  };
  /** Check one of the wallet's own deliveries on the chain now. */
  verify_session: {
    method: "POST";
    path: `/api/v1/onramp/sessions/${string}/verify`;
    answer: Proof;
    codes: string;
  };
  /** Estimate what a purchase would cost and deliver. */
  quote: {
    method: "GET";
    path: "/api/v1/onramp/quotes";
    query: { sourceAmount: string; sourceCurrency: string; };
    answer: QuoteResponse;
    codes: string;
  };
  /** A message for a wallet to sign, good once, for ten minutes. */
  nonce: {
    method: "POST";
    path: "/api/v1/auth/nonce";
    body: AskNonce;
    answer: NonceResponse;
    codes: string;
  };
  /** A signed message in, a token out. */
  login: {
    method: "POST";
    path: "/api/v1/auth/login";
    body: Login;
    answer: LoginResponse;
    codes: string;
  };
  /** End every token of this wallet. */
  logout: {
    method: "POST";
    path: "/api/v1/auth/logout";
    answer: LogoutResponse;
    codes: string;
  };
}
