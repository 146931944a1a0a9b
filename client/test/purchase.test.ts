import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { begin, BODY, open, phase, SLOT } from "./support/shop.js";

test("a purchase goes from the form to the proof, and then another one may be made", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const phases: string[] = [];
  tab.subscribe(() => phases.at(-1) !== tab.getSnapshot().phase && phases.push(tab.getSnapshot().phase));
  const id = await begin(tab);
  const { payment } = await phase(tab, "pay");
  assert.deepEqual(payment, { clientSecret: "ons_1_secret", publishableKey: "pk_test", hostedUrl: "https://stripe.test/ons_1" });
  for (const status of ["processing", "delivering", "completed"] as const) shop.fake.move(id, status);
  const done = await phase(tab, "done", ({ proof }) => proof !== null);
  assert.equal(done.proof?.amount, "99.50");
  assert.deepEqual(phases, ["creating", "pay", "track", "done"]);
  assert.ok(await tab.reset());
  assert.notEqual(await begin(tab), id);
  assert.equal(shop.keys.length, 2);
});

test("a completed purchase is reported once, whatever is reloaded and however many tabs show it", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  assert.equal(await tab.takeCompletion(), false);
  for (const status of ["completed", "delivering", "completed"] as const) {
    const id = tab.getSnapshot().phase === "compose" ? await begin(tab) : "ons_1";
    shop.fake.move(id, status);
    await phase(tab, status === "completed" ? "done" : "track");
    if (status === "delivering") assert.equal(await tab.takeCompletion(), false);
  }
  // The page was closed before it could be told, and the first that sees it is.
  tab = shop.reload(tab);
  const other = shop.tab();
  await Promise.all([phase(tab, "done"), phase(other, "done")]);
  assert.deepEqual(await Promise.all([tab, other, tab].map((each) => each.takeCompletion())), [true, false, false]);
  tab = shop.reload(tab);
  await phase(tab, "done");
  assert.equal(await tab.takeCompletion(), false);
  await tab.reset();
  shop.fake.move(await begin(tab), "completed");
  await phase(tab, "done");
  assert.equal(await tab.takeCompletion(), true);
});

test("a second click starts nothing", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  await Promise.all([tab.start(BODY), tab.start(BODY), tab.start({ ...BODY, sourceAmount: "200" })]);
  await tab.start(BODY);
  assert.deepEqual([shop.keys.length, shop.fake.requests.filter(({ method }) => method === "POST").length], [1, 1]);
  const before = await phase(tab, "pay", ({ live }) => live === "stream");
  await tab.start(BODY);
  assert.equal(tab.getSnapshot(), before);
});

test("a service that does not answer is asked again under the same key, and says why it waits", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const problems: (string | undefined)[] = [];
  tab.subscribe(() => {
    const now = tab.getSnapshot();
    if (now.phase === "creating" && now.problem) problems.push(now.problem.code);
  });
  shop.fake.failNext();
  shop.fake.failNext(409, "idempotency_in_progress", { "Retry-After": "1" });
  shop.fake.failNext(503, "stripe_unavailable");
  shop.fake.failNext(429, "rate_limited", { "Retry-After": "3" });
  await begin(tab);
  assert.deepEqual(problems, ["unreachable", "idempotency_in_progress", "stripe_unavailable", "rate_limited"]);
  assert.equal(shop.keys.length, 1);
});

test("a service that will not sell now says so at once; trying again keeps the key", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  shop.fake.failNext(503, "inventory_low");
  await tab.start(BODY);
  const failed = await phase(tab, "failed");
  assert.deepEqual([failed.problem.code, failed.canRetry], ["inventory_low", true]);
  tab.retry();
  await phase(tab, "pay");
  assert.equal(shop.keys.length, 1);
});

test("after a service was away for long the buyer decides, and a reload goes on under the same key", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  shop.fake.offline = true;
  await tab.start(BODY);
  assert.ok((await phase(tab, "failed")).canRetry);
  tab = shop.reload(tab);
  await phase(tab, "creating");
  shop.fake.offline = false;
  await phase(tab, "pay");
  assert.equal(shop.keys.length, 1);
});

test("a refusal ends the key: what is corrected is another request", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  shop.fake.failNext(422, "validation_failed");
  await tab.start(BODY);
  assert.equal((await phase(tab, "failed")).canRetry, false);
  tab.retry();
  assert.equal(tab.getSnapshot().phase, "failed");
  await begin(tab, { ...BODY, sourceAmount: "50" });
  assert.equal(shop.keys.length, 2);
});

test("another amount after a passing failure is another request", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  shop.fake.failNext(503, "inventory_low");
  await tab.start(BODY);
  await begin(tab, { ...BODY, sourceAmount: "50" });
  assert.equal((await phase(tab, "pay")).session.sourceAmount, "50");
  assert.equal(shop.keys.length, 2);
});

test("a reload goes on in every phase, with Stripe's secret from the service and none in the storage", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  const id = await begin(tab);
  assert.ok(!shop.storage?.getItem(SLOT)?.includes("secret"));
  tab = shop.reload(tab);
  const { payment, session } = await phase(tab, "pay", (now) => now.payment !== null);
  assert.deepEqual([session.id, payment?.clientSecret], [id, "ons_1_secret"]);
  shop.fake.move(id, "processing");
  await phase(tab, "track");
  tab = shop.reload(tab);
  await phase(tab, "track");
  shop.fake.move(id, "completed");
  await phase(tab, "done");
  tab = shop.reload(tab);
  assert.equal((await phase(tab, "done", ({ proof }) => proof !== null)).session.id, id);
  assert.ok(!shop.storage?.getItem(SLOT)?.includes(BODY.walletAddress), "what was asked is forgotten when it is over");
  assert.equal(shop.keys.length, 1);
});

test("a key that the service has forgotten makes another session, which is not taken for this one", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  const stored = JSON.parse(shop.storage?.getItem(SLOT) ?? "{}");
  shop.storage?.values.set(SLOT, JSON.stringify({ ...stored, key: "another-key-of-sixteen" }));
  const { payment, session } = await phase(shop.reload(tab), "pay", ({ form }) => form === "blocked");
  assert.deepEqual([payment, session.id], [null, id]);
});

test("a second tab shows the same purchase, whichever began it", async (t) => {
  const shop = open(t);
  const first = shop.tab();
  const second = shop.tab();
  const id = await begin(first);
  assert.equal((await phase(second, "pay", ({ payment }) => payment !== null)).session.id, id);
  shop.fake.move(id, "processing");
  await Promise.all([phase(first, "track"), phase(second, "track")]);
  await second.start(BODY);
  assert.equal(shop.keys.length, 1);
});

test("two tabs that start in the same moment make one purchase", async (t) => {
  const shop = open(t);
  const [first, second] = [shop.tab(), shop.tab()];
  await Promise.all([first.start(BODY), second.start({ ...BODY, sourceAmount: "200" })]);
  const sessions = await Promise.all([phase(first, "pay"), phase(second, "pay")]);
  assert.deepEqual(sessions.map(({ session }) => session.sourceAmount), ["100", "100"]);
  assert.equal(shop.keys.length, 1);
});

test("when one tab starts over, the other does, too", async (t) => {
  const shop = open(t);
  const [first, second] = [shop.tab(), shop.tab()];
  await begin(first);
  await phase(second, "pay");
  assert.ok(await first.reset());
  await phase(second, "compose");
});

test("another device follows by the link, cannot pay there, and does not touch its own purchase", async (t) => {
  const shop = open(t);
  const id = await begin(shop.tab());
  const other = open(t);
  other.fake = shop.fake;
  const own = await begin(other.tab());
  const linked = other.tab(id);
  const { payment, session } = await phase(linked, "pay", ({ form }) => form === "blocked");
  assert.deepEqual([payment, session.id], [null, id]);
  shop.fake.move(id, "processing");
  await phase(linked, "track");
  assert.equal(JSON.parse(other.storage?.getItem(SLOT) ?? "{}").id, own);
});

test("a link to nothing says so", async (t) => {
  const linked = open(t).tab("ons_unknown");
  assert.equal((await phase(linked, "failed")).problem.code, "not_found");
});

test("a declined card changes nothing: the same session is paid with another card", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  const payment = { ...(await phase(tab, "pay")).session.payment, status: "requires_payment" as const };
  shop.fake.move(id, "awaiting_payment", { payment });
  const pay = await phase(tab, "pay", ({ session }) => session.payment.status === "requires_payment");
  assert.deepEqual([pay.session.id, pay.payment?.clientSecret, pay.mayStartOver], [id, "ons_1_secret", true]);
  shop.fake.move(id, "completed");
  await phase(tab, "done");
  assert.equal(shop.keys.length, 1);
});

test("a blocked form offers Stripe's own page, and can be tried again", async (t) => {
  const tab = open(t).tab();
  await begin(tab);
  tab.setForm("blocked");
  const { form, payment } = await phase(tab, "pay");
  assert.deepEqual([form, payment?.hostedUrl], ["blocked", "https://stripe.test/ons_1"]);
  tab.retry();
  assert.equal((await phase(tab, "pay")).form, "loading");
});

test("a restarted service is followed again, and the purchase ends as if nothing had happened", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  shop.fake.offline = true;
  shop.fake.cut();
  await phase(tab, "pay", ({ live }) => live === "offline");
  shop.fake.move(id, "completed");
  shop.fake.offline = false;
  await phase(tab, "done", ({ live }) => live !== "offline");
});

test("without storage everything works but the resume", async (t) => {
  const shop = open(t);
  const forbidden = {
    getItem: () => { throw new Error("forbidden"); },
    setItem: () => { throw new Error("forbidden"); },
    removeItem: () => { throw new Error("forbidden"); },
  };
  for (const storage of [null, forbidden]) {
    const tab = shop.tab(undefined, storage);
    shop.fake.move(await begin(tab), "completed");
    await phase(tab, "done");
    assert.ok(await tab.reset());
  }
});

test("what another program stored under the name is not taken for a purchase", async (t) => {
  const shop = open(t);
  for (const text of ["", "{", "null", "7", '"ons_1"', '{"key": 7}', "[]"]) {
    shop.storage?.values.set(SLOT, text);
    assert.equal(shop.tab().getSnapshot().phase, "compose", text);
  }
});

test("a component that is mounted twice follows once, and keeps Stripe's secret", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  tab.stop();
  tab.resume();
  tab.stop();
  tab.resume();
  tab.resume();
  shop.fake.move(id, "awaiting_payment");
  await sleep(30);
  assert.equal(shop.fake.streams, 1);
  assert.equal((await phase(tab, "pay")).payment?.clientSecret, "ons_1_secret");
  assert.equal(shop.fake.requests.filter(({ method }) => method === "POST").length, 1);
});

test("a body that is no JSON is the caller's mistake, and leaves nothing behind", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  await assert.rejects(tab.start({ ...BODY, sourceAmount: 1n as unknown as string }), TypeError);
  assert.equal(tab.getSnapshot().phase, "compose");
});
