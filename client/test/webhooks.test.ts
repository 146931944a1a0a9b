import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { sessionIn, signWebhook } from "@onramp/client/testing";
import { verifyWebhook, WebhookError } from "@onramp/client/webhooks";
import { Webhook } from "standardwebhooks";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const OTHER = `whsec_${randomBytes(32).toString("base64")}`;
const NOW = 1_800_000_000;
const BODY = JSON.stringify({ type: "session.completed", timestamp: "2027-01-15T08:00:00Z", data: sessionIn("completed") });

/** Headers as the official library signs them. */
function signed(secret = SECRET, body = BODY, at = NOW): Record<string, string> {
  const signature = new Webhook(secret).sign("msg_1", new Date(at * 1000), body);
  return { "webhook-id": "msg_1", "webhook-timestamp": `${at}`, "webhook-signature": signature };
}

async function refusal(body: string, headers: Record<string, string>, secrets: string | string[] = SECRET): Promise<string> {
  const error = await verifyWebhook(body, headers, secrets, { now: NOW }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof WebhookError, "it was accepted");
  return error.code;
}

test("a message that the official library signed is read, and narrows by its type", async () => {
  const event = await verifyWebhook(BODY, signed(), SECRET, { now: NOW });
  assert.equal(event.id, "msg_1");
  assert.ok(event.type === "session.completed");
  assert.equal(event.data.delivery.expectedAmount, "99.50");
});

test("what this package signs for tests, the official library reads", async () => {
  const now = Math.floor(Date.now() / 1000);
  const headers = await signWebhook(BODY, SECRET, "msg_2", now);
  assert.deepEqual(new Webhook(SECRET).verify(BODY, headers), JSON.parse(BODY));
});

test("headers are taken as fetch has them, and the body as bytes", async () => {
  const event = await verifyWebhook(new TextEncoder().encode(BODY), new Headers(signed()), SECRET, { now: NOW });
  assert.equal(event.type, "session.completed");
});

test("while a secret is rotated either one is accepted, and either signature", async () => {
  await verifyWebhook(BODY, signed(OTHER), [SECRET, OTHER], { now: NOW });
  const both = { ...signed(), "webhook-signature": `v1a,AAAA ${signed(OTHER)["webhook-signature"]} ${signed()["webhook-signature"]}` };
  await verifyWebhook(BODY, both, SECRET, { now: NOW });
});

test("a changed body, id, time or secret is refused", async () => {
  assert.equal(await refusal(BODY.replace("99.50", "99.51"), signed()), "signature");
  assert.equal(await refusal(` ${BODY}`, signed()), "signature");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-id": "msg_2" }), "signature");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-timestamp": `${NOW + 1}` }), "signature");
  assert.equal(await refusal(BODY, signed(OTHER)), "signature");
});

test("a body that was parsed and written again has another signature", async () => {
  assert.equal(await refusal(JSON.stringify(JSON.parse(BODY), null, 2), signed()), "signature");
});

test("the asymmetric signature is not mistaken for the symmetric one", async () => {
  const mixed = (signed()["webhook-signature"] ?? "").replace("v1,", "v1a,");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-signature": mixed }), "signature");
});

test("a message of the day before or the day after is refused", async () => {
  assert.equal(await refusal(BODY, signed(SECRET, BODY, NOW - 86_400)), "stale");
  assert.equal(await refusal(BODY, signed(SECRET, BODY, NOW + 86_400)), "stale");
  await verifyWebhook(BODY, signed(SECRET, BODY, NOW - 299), SECRET, { now: NOW });
});

test("malformed headers are refused, and say nothing of the secret", async () => {
  for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
    const { [name]: _, ...rest } = signed();
    assert.equal(await refusal(BODY, rest), "headers");
  }
  assert.equal(await refusal(BODY, { ...signed(), "webhook-timestamp": "soon" }), "stale");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-timestamp": "1e9" }), "stale");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-signature": "," }), "signature");
  assert.equal(await refusal(BODY, { ...signed(), "webhook-signature": "v1,%%%" }), "signature");
});

test("a secret that is no secret is the caller's mistake", async () => {
  for (const secret of ["", "secret", "whsec_", "whsec_%%%"]) assert.equal(await refusal(BODY, signed(), secret), "secret");
});

test("a signed body that is no JSON is refused", async () => {
  assert.equal(await refusal("hello", signed(SECRET, "hello")), "body");
});

test("a body that a framework has parsed is refused, and the error says what to pass", async () => {
  for (const parsed of [JSON.parse(BODY), [BODY], null, undefined, 1]) {
    const error = await verifyWebhook(parsed, signed(), SECRET, { now: NOW }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof WebhookError && error.code === "body");
    assert.match(error.message, /as it arrived.*express\.raw/);
  }
});

test("Node's Buffer is bytes, and a header that arrived twice is refused", async () => {
  await verifyWebhook(Buffer.from(BODY), signed(), SECRET, { now: NOW });
  const twice = { ...signed(), "webhook-id": ["msg_1", "msg_1"] };
  await assert.rejects(verifyWebhook(BODY, twice, SECRET, { now: NOW }), { code: "headers" });
});
