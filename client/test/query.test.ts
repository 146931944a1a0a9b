import assert from "node:assert/strict";
import { test } from "node:test";
import { deliveryQueryOptions, quoteQueryOptions, sessionQueryKey, sessionQueryOptions } from "@onramp/client/query";
import { FakeOnramp, proofOf, sessionIn } from "@onramp/client/testing";

test("the keys tell services and sessions apart, and are data", () => {
  const onramp = new FakeOnramp().client();
  assert.deepEqual(sessionQueryKey(onramp, "ons_1"), ["onramp", "https://onramp.test", "session", "ons_1"]);
  assert.notDeepEqual(sessionQueryKey(onramp, "ons_1"), deliveryQueryOptions(onramp, "ons_1").queryKey);
  assert.deepEqual(quoteQueryOptions(onramp, { sourceAmount: "1", sourceCurrency: "usd" }).queryKey.at(-1), { sourceAmount: "1", sourceCurrency: "usd" });
});

test("a session is asked for until it is final, with the signal of the query", async () => {
  const fake = new FakeOnramp();
  fake.move("ons_1", "awaiting_payment");
  const options = sessionQueryOptions(fake.client(), "ons_1");
  assert.equal((await options.queryFn({ signal: new AbortController().signal })).id, "ons_1");
  await assert.rejects(options.queryFn({ signal: AbortSignal.abort(new Error("left")) }), /left/);
  const pause = (data?: ReturnType<typeof sessionIn>) => options.refetchInterval?.({ state: { data } });
  assert.deepEqual([pause(), pause(sessionIn("attention")), pause(sessionIn("completed"))], [4000, 4000, false]);
});

test("a proof is asked for until it is confirmed", async () => {
  const fake = new FakeOnramp();
  fake.move("ons_1", "completed");
  const options = deliveryQueryOptions(fake.client(), "ons_1");
  const proof = await options.queryFn({ signal: new AbortController().signal });
  const waiting = proofOf(sessionIn("delivering"));
  assert.deepEqual([proof.amount, options.refetchInterval?.({ state: { data: proof } })], ["99.50", false]);
  assert.equal(options.refetchInterval?.({ state: { data: waiting } }), 4000);
});
