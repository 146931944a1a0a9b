import assert from "node:assert/strict";
import { test } from "node:test";
import { createOnramp, isProblem, OnrampProblem, signerOf } from "@onramp/client";
import { FakeOnramp } from "@onramp/client/testing";

const BODY = { walletAddress: "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955", sourceAmount: "100", sourceCurrency: "usd" };
const KEY = "a-key-of-sixteen-characters";

/** The problem that a promise is rejected with. */
async function problemOf(promise: Promise<unknown>): Promise<OnrampProblem> {
  const error = await promise.then(() => "it succeeded", (thrown: unknown) => thrown);
  assert.ok(isProblem(error), String(error));
  return error;
}

/** A client whose service gives one answer to everything. */
function answering(answer: () => Response | Promise<Response>, options = {}) {
  const calls: [string, RequestInit][] = [];
  const fetch = async (url: string | URL | Request, init: RequestInit = {}) => {
    calls.push([String(url), init]);
    return answer();
  };
  return { onramp: createOnramp({ baseUrl: "https://pay.example/", fetch, ...options }), calls };
}

test("a create request has the key, the body, no cookies and no cache", async () => {
  const { onramp, calls } = answering(() => Response.json({ id: "ons_1" }, { status: 201 }));
  await onramp.sessions.create(BODY, { idempotencyKey: KEY });
  const [url, init] = calls[0] ?? [];
  assert.equal(url, "https://pay.example/api/v1/onramp/sessions");
  assert.deepEqual(init?.headers, { "Idempotency-Key": KEY, "Content-Type": "application/json" });
  assert.deepEqual([init?.method, init?.credentials, init?.cache, JSON.parse(String(init?.body))], ["POST", "omit", "no-store", BODY]);
});

test("a quote's question is in the query, and an id cannot leave its path", async () => {
  const { onramp, calls } = answering(() => Response.json({}));
  await onramp.quote({ sourceAmount: "1&2", sourceCurrency: "usd" });
  await onramp.sessions.get("../admin?x");
  assert.deepEqual(
    calls.map(([url]) => url),
    ["https://pay.example/api/v1/onramp/quotes?sourceAmount=1%262&sourceCurrency=usd", "https://pay.example/api/v1/onramp/sessions/..%2Fadmin%3Fx"],
  );
});

test("a server sends its key, and nothing else does", async () => {
  const { onramp, calls } = answering(() => Response.json({}), { key: "ork_server" });
  await onramp.sessions.get("ons_1");
  assert.equal(new Headers(calls[0]?.[1].headers).get("Authorization"), "Bearer ork_server");
});

test("a problem of the service keeps its code, fields, request id and Retry-After", async () => {
  const problem = { status: 422, code: "validation_failed", title: "Unprocessable", detail: "Two fields.", requestId: "req_body" };
  const errors = [{ pointer: "/sourceAmount", detail: "must be more than zero" }];
  const headers = { "Retry-After": "7", "X-Request-Id": "req_header" };
  const { onramp } = answering(() => Response.json({ ...problem, errors }, { status: 422, headers }));
  const thrown = await problemOf(onramp.sessions.create(BODY, { idempotencyKey: KEY }));
  assert.deepEqual([thrown.status, thrown.code, thrown.message, thrown.requestId, thrown.retryAfter], [422, "validation_failed", "Two fields.", "req_header", 7]);
  assert.equal(thrown.at("/sourceAmount"), "must be more than zero");
  assert.equal(thrown.at("/walletAddress"), null);
  assert.ok(isProblem(thrown, "validation_failed") && !isProblem(thrown, "unreachable"));
});

test("a page of a proxy is an unexpected answer, whatever its status", async () => {
  for (const status of [200, 404, 502]) {
    const { onramp } = answering(() => new Response("<html>Bad gateway</html>", { status, headers: { "Retry-After": "soon" } }));
    const thrown = await problemOf(onramp.sessions.get("ons_1"));
    assert.deepEqual([thrown.code, thrown.retryAfter], ["unexpected", null], `${status}`);
  }
});

test("a service that is not reached is a problem of its own; the caller's own abort is not", async () => {
  const { onramp } = answering(() => Promise.reject(new TypeError("fetch failed")));
  assert.deepEqual([(await problemOf(onramp.sessions.get("ons_1"))).code, (await problemOf(onramp.sessions.get("ons_1"))).status], ["unreachable", 0]);
  const reason = new Error("the buyer left");
  await assert.rejects(onramp.sessions.get("ons_1", { signal: AbortSignal.abort(reason) }), reason);
});

test("a service that accepts a request and never answers is given up after half a minute", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fetch = (_url: unknown, init: RequestInit = {}) =>
    new Promise<Response>((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason)));
  const thrown = problemOf(createOnramp({ baseUrl: "https://pay.example", fetch }).sessions.get("ons_1"));
  t.mock.timers.tick(30_001);
  assert.equal((await thrown).code, "unreachable");
});

test("a wallet logs in with the service's own text, and its token goes only where it is needed", async () => {
  const asked: unknown[] = [];
  const provider = {
    async request(call: { method: string; params?: unknown[] }) {
      asked.push(call);
      return call.method === "eth_requestAccounts" ? ["0xabc"] : "0xsignature";
    },
  };
  const seen: [string, string | null, unknown][] = [];
  const fetch = async (url: string | URL | Request, init: RequestInit = {}) => {
    const path = new URL(String(url)).pathname;
    seen.push([path, new Headers(init.headers).get("Authorization"), init.body && JSON.parse(String(init.body))]);
    if (path.endsWith("/nonce")) return Response.json({ nonce: "n", message: "Größe", expiresAt: "2000-01-01T00:00:00Z" });
    if (path.endsWith("/login")) return Response.json({ token: "jwt", expiresAt: "2000-01-01T00:00:00Z", address: "0xABC" });
    return path.endsWith("/verify") ? Response.json({ code: "unauthorized", detail: "It ended." }, { status: 401 }) : Response.json({ data: [], nextCursor: null });
  };
  const onramp = createOnramp({ baseUrl: "https://pay.example", fetch });
  await onramp.auth.login(await signerOf(provider));
  assert.equal(onramp.auth.account, "0xABC");
  assert.deepEqual(asked.at(-1), { method: "personal_sign", params: ["0x4772c3b6c39f65", "0xabc"] });
  // The token's end is in the past by this machine's clock, which may be wrong: the service decides.
  await onramp.sessions.list({ limit: 5 });
  await onramp.sessions.get("ons_1");
  assert.deepEqual(seen.slice(1).map(([, token]) => token), [null, "Bearer jwt", null]);
  assert.deepEqual(seen[1]?.[2], { message: "Größe", signature: "0xsignature" });
  await problemOf(onramp.sessions.verify("ons_1"));
  assert.equal(onramp.auth.account, null, "a refused token is forgotten");
});

test("a logout forgets the token even if the service does not answer", async () => {
  const fake = new FakeOnramp();
  const answers = [{ message: "m" }, { token: "jwt", address: "0xabc" }];
  const fetch: typeof globalThis.fetch = async (input, init) => (answers.length ? Response.json(answers.shift()) : fake.fetch(input, init));
  const onramp = createOnramp({ baseUrl: "https://onramp.test", fetch });
  await onramp.auth.login({ address: "0xabc", signMessage: async () => "0x" });
  fake.offline = true;
  await problemOf(onramp.auth.logout());
  assert.equal(onramp.auth.account, null);
});
