/**
 * The service's HTTP interface, and its errors as one class.
 */

/** An answer that is not a success. `status` 0: the service was not reached. */
export class Problem extends Error {
  constructor({ status, code, title, detail, errors, requestId, retryAfter }) {
    super(detail || title);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.title = title;
    this.errors = errors ?? [];
    this.requestId = requestId ?? null;
    this.retryAfter = retryAfter ?? null;
  }

  /** The server's word on one field of the request ("/sourceAmount"), as a sentence, or null. */
  at(pointer) {
    const found = this.errors.find((error) => error.pointer === pointer || error.pointer === `#${pointer}`);
    return found ? `${found.detail.charAt(0).toUpperCase()}${found.detail.slice(1)}.` : null;
  }
}

const UNREACHED = {
  status: 0,
  code: "unreachable",
  title: "No connection",
  detail: "We could not reach the service. Check your connection and try again.",
};

/** A buyer's words; the service's own titles are HTTP's, "Service Unavailable". */
const TITLES = { 429: "A little slower, please", 503: "Not available just now" };

async function problemOf(response) {
  const retryAfter = Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || null;
  const requestId = response.headers.get("X-Request-Id");
  const plain = {
    status: response.status,
    code: "unexpected",
    title: TITLES[response.status] ?? "That did not work",
    detail: "The service gave an answer this page does not understand. Please try again in a moment.",
  };
  const body = await response.json().catch(() => ({}));
  return new Problem({ requestId, ...plain, ...body, title: plain.title, status: response.status, retryAfter });
}

export class Api {
  /** @param {string} base origin, "" for this one */
  constructor(base) {
    this.auth = `${base.replace(/\/$/, "")}/api/v1/auth`;
    this.base = `${base.replace(/\/$/, "")}/api/v1/onramp`;
  }

  async #ask(path, options = {}) {
    return (await this.#fetch(this.base + path, options)).json();
  }

  async #fetch(url, options) {
    let response;
    try {
      response = await fetch(url, { cache: "no-store", credentials: "omit", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(UNREACHED);
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  quote(sourceAmount, sourceCurrency, signal) {
    return this.#ask(`/quotes?${new URLSearchParams({ sourceAmount, sourceCurrency })}`, { signal });
  }

  /** Creates a session, or with the same key and body answers the one already made. */
  create(body, key) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    return this.#ask("/sessions", { method: "POST", headers, body: JSON.stringify(body) });
  }

  async #post(url, body) {
    const headers = { "Content-Type": "application/json" };
    return (await this.#fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
  }

  /** A message for this wallet to sign. */
  nonce(address) {
    return this.#post(`${this.auth}/nonce`, { address });
  }

  /** The signed message in, a token out. */
  login(message, signature) {
    return this.#post(`${this.auth}/login`, { message, signature });
  }

  /** Ends every token of the wallet that logged in. */
  async logout(token) {
    await this.#fetch(`${this.auth}/logout`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  }

  /** A page of the purchases of the wallet that logged in, the newest first; `cursor` of the page before. */
  history(token, cursor = null) {
    const query = cursor ? `?${new URLSearchParams({ cursor })}` : "";
    return this.#ask(`/sessions${query}`, { headers: { Authorization: `Bearer ${token}` } });
  }

  /** @returns {Promise<Blob>} all of them as a table */
  async historyCsv(token) {
    const headers = { Authorization: `Bearer ${token}`, Accept: "text/csv" };
    return (await this.#fetch(`${this.base}/sessions`, { headers })).blob();
  }

  /** Looks at the chain now; the proof as it stands. */
  verify(id, token) {
    const options = { method: "POST", headers: { Authorization: `Bearer ${token}` } };
    return this.#ask(`/sessions/${encodeURIComponent(id)}/verify`, options);
  }

  /** @returns {Promise<Blob>} the receipt as a person files it */
  async receiptPdf(id) {
    const url = `${this.base}/sessions/${encodeURIComponent(id)}/receipt`;
    return (await this.#fetch(url, { headers: { Accept: "application/pdf" } })).blob();
  }

  session(id) {
    return this.#ask(`/sessions/${encodeURIComponent(id)}`);
  }

  delivery(id) {
    return this.#ask(`/sessions/${encodeURIComponent(id)}/delivery`);
  }

  eventsUrl(id) {
    return `${this.base}/sessions/${encodeURIComponent(id)}/events`;
  }
}
