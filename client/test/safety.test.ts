import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import type { SessionStatus } from "@onramp/client";
import { begin, BODY, open, phase, SLOT } from "./support/shop.js";

for (const status of ["processing", "delivering", "attention", "held_by_a_later_version" as SessionStatus] as const) {
  test(`no other purchase is offered or made while this one is ${status}`, async (t) => {
    const shop = open(t);
    const tab = shop.tab();
    shop.fake.move(await begin(tab), status);
    assert.equal((await phase(tab, "track")).mayStartOver, false);
    await tab.start({ ...BODY, sourceAmount: "200" });
    tab.retry();
    assert.equal(await tab.reset(), false);
    assert.equal((await phase(shop.reload(tab), "track")).mayStartOver, false);
    assert.equal(shop.keys.length, 1);
  });
}

test("no other purchase is offered while the state is unknown", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  await begin(tab);
  shop.fake.offline = true;
  shop.fake.cut();
  assert.equal((await phase(tab, "pay", ({ live }) => live === "offline")).mayStartOver, false);
  assert.equal(await tab.reset(), false, "the service does not say that it is unpaid");
  tab = shop.reload(tab);
  assert.equal((await phase(tab, "resuming")).mayStartOver, false);
  await tab.start(BODY);
  assert.equal(await tab.reset(), false);
  assert.equal(shop.keys.length, 1);
});

test("before it is forgotten the service is asked: a payment that was just made is not lost", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  shop.fake.noStreams = true;
  shop.fake.cut();
  shop.fake.move(id, "processing");
  assert.equal(await tab.reset(), false);
  await phase(tab, "track");
});

test("Stripe's form saying paid stops another purchase; only the service ends it", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  const id = await begin(tab);
  tab.hint("requires_payment");
  assert.equal(tab.getSnapshot().phase, "pay");
  tab.hint("fulfillment_processing");
  assert.equal((await phase(tab, "track")).session.status, "awaiting_payment");
  tab = shop.reload(tab);
  assert.equal((await phase(tab, "track")).mayStartOver, false);
  shop.fake.move(id, "rejected");
  assert.equal((await phase(tab, "ended")).mayStartOver, true);
});

test("no hint, and no window message, completes a purchase", async (t) => {
  const tab = open(t).tab();
  await begin(tab);
  tab.hint("fulfillment_complete");
  globalThis.dispatchEvent(Object.assign(new Event("message"), { data: { type: "onramp.session", status: "completed" } }));
  await sleep(50);
  assert.equal(tab.getSnapshot().phase, "track");
});

test("a paid purchase that the service does not know is waited for; an unpaid one was deleted, and makes room", async (t) => {
  const shop = open(t);
  let tab = shop.tab();
  const id = await begin(tab);
  shop.fake.move(id, "processing");
  await phase(tab, "track");
  shop.fake.forget(id);
  tab = shop.reload(tab);
  assert.equal((await phase(tab, "resuming", ({ live }) => live === "offline")).mayStartOver, false);
  shop.fake.move(id, "completed");
  await phase(tab, "done");
  await tab.reset();
  shop.fake.forget(await begin(tab));
  tab = shop.reload(tab);
  await phase(tab, "compose");
  assert.equal(shop.storage?.getItem(SLOT), null);
});

test("money that arrives after the end is seen, and counts", async (t) => {
  const shop = open(t);
  const tab = shop.tab();
  const id = await begin(tab);
  shop.fake.move(id, "expired");
  assert.equal((await phase(tab, "ended")).mayStartOver, true);
  shop.fake.move(id, "delivering");
  assert.equal((await phase(tab, "track")).mayStartOver, false);
});
