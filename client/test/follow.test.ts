import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { createOnramp, isProblem, isTerminal, type Live, type Session } from "@onramp/client";
import { FakeOnramp, sessionIn } from "@onramp/client/testing";

const ID = "ons_1";

/** A service with one session, and what a follower of it has seen. */
function following(t: { after(end: () => void): void }) {
  const fake = new FakeOnramp();
  fake.move(ID, "awaiting_payment");
  const seen: string[] = [];
  const live: Live[] = [];
  const end = new AbortController();
  t.after(() => end.abort());
  const done = (async () => {
    for await (const session of fake.client().sessions.follow(ID, { signal: end.signal, onLive: (now) => live.push(now) })) seen.push(session.status);
  })();
  done.catch(() => {});
  return { fake, seen, live, end, done };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 1000, `not within 5 s: ${what}`);
    await sleep(5);
  }
}

test("the state is yielded at once, and then each change, over one stream", async (t) => {
  const { fake, seen, live } = following(t);
  await until(() => seen.length === 1, "the first state");
  fake.move(ID, "processing");
  fake.move(ID, "delivering");
  await until(() => seen.length === 3, "two changes");
  assert.deepEqual([seen, live], [["awaiting_payment", "processing", "delivering"], ["stream"]]);
  assert.equal(fake.requests.length, 1);
});

test("a stream that is cut resumes after the last event, and nothing is missed or repeated", async (t) => {
  const { fake, seen } = following(t);
  await until(() => seen.length === 1, "the first state");
  fake.cut();
  fake.move(ID, "processing");
  await until(() => seen.length === 2, "the change that was made meanwhile");
  assert.equal(fake.requests.at(-1)?.headers.get("Last-Event-ID"), "1");
  for (let cuts = 0; cuts < 5; cuts += 1) {
    fake.cut();
    await until(() => fake.streams === 1, "another stream");
  }
  assert.deepEqual(seen, ["awaiting_payment", "processing"]);
});

test("where streams are refused it polls, and gives the stream another chance", async (t) => {
  const { fake, seen, live } = following(t);
  fake.noStreams = true;
  fake.cut();
  await until(() => live.includes("poll"), "polling");
  fake.move(ID, "processing");
  await until(() => seen.includes("processing"), "the change");
  fake.noStreams = false;
  await until(() => live.at(-1) === "stream", "the stream");
});

test("a service that is away is asked again for ever, and said to be away", async (t) => {
  const { fake, seen, live } = following(t);
  await until(() => seen.length === 1, "the first state");
  fake.offline = true;
  fake.cut();
  await until(() => fake.requests.length > 15, "many tries");
  assert.equal(live.at(-1), "offline");
  fake.move(ID, "completed");
  fake.offline = false;
  await until(() => seen.at(-1) === "completed", "the change");
});

test("a busy service and a proxy's page are waited for", async (t) => {
  const { fake, seen, live } = following(t);
  await until(() => seen.length === 1, "the first state");
  for (const status of [429, 503, 500]) fake.failNext(status, "busy", { "Retry-After": "2" });
  fake.cut();
  fake.move(ID, "processing");
  await until(() => seen.length === 2, "the change");
  assert.ok(live.includes("offline"));
});

test("an unknown id ends with the problem", async () => {
  const follow = new FakeOnramp().client().sessions.follow("ons_unknown");
  await assert.rejects(follow.next(), (error) => isProblem(error, "not_found"));
});

test("leaving the loop, or aborting, closes the connection", async (t) => {
  const { fake, seen, end, done } = following(t);
  await until(() => seen.length === 1, "the first state");
  end.abort();
  await done;
  assert.equal(fake.streams, 0);
  for await (const session of fake.client().sessions.follow(ID)) if (!isTerminal(session.status)) break;
  assert.equal(fake.streams, 0);
});

test("a settled purchase gives its stream back, is looked at a few times more, and then left alone", async (t) => {
  const { fake, seen, done } = following(t);
  fake.move(ID, "completed");
  await done;
  assert.equal(fake.streams, 0);
  assert.equal(seen.at(-1), "completed");
  assert.ok(fake.requests.filter(({ path }) => !path.endsWith("/events")).length >= 8);
});

test("a chain that reorganises after the end is seen", async (t) => {
  const { fake, seen } = following(t);
  fake.move(ID, "completed");
  await until(() => seen.at(-1) === "completed", "the end");
  fake.move(ID, "delivering");
  await until(() => seen.at(-1) === "delivering" && fake.streams === 1, "the reorganisation");
});

/** A follower of a service that answers polls with these sessions, one after the other. */
async function polled(answers: Session[]): Promise<string[]> {
  const left = [...answers];
  const fetch = async (url: string | URL | Request) => (String(url).endsWith("/events") ? new Response("none") : Response.json(left.shift() ?? answers.at(-1)));
  const onramp = createOnramp({ baseUrl: "https://onramp.test", fetch, wait: () => sleep(0) });
  const seen: string[] = [];
  for await (const { status } of onramp.sessions.follow(ID)) {
    seen.push(status);
    if (left.length === 0) break;
  }
  return seen;
}

test("an older answer is dropped once, and believed if the service insists: its database was restored", async () => {
  const at = (status: Session["status"], version: number) => sessionIn(status, {}, version);
  assert.deepEqual(await polled([at("processing", 5), at("awaiting_payment", 3), at("delivering", 6)]), ["processing", "delivering"]);
  assert.deepEqual(await polled([at("processing", 5), at("awaiting_payment", 3), at("awaiting_payment", 3)]), ["processing", "awaiting_payment"]);
});

test("a stream that is silent for three heartbeats is dead, and opened again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fake = new FakeOnramp();
  fake.move(ID, "awaiting_payment");
  const follow = createOnramp({ baseUrl: "https://onramp.test", fetch: fake.fetch, wait: async () => {} }).sessions.follow(ID);
  assert.equal((await follow.next()).value?.status, "awaiting_payment");
  const next = follow.next();
  await new Promise(setImmediate);
  t.mock.timers.tick(45_001);
  for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
  assert.equal(fake.requests.length, 2);
  fake.move(ID, "processing");
  assert.equal((await next).value?.status, "processing");
  await follow.return();
});

test("a page that is shown again looks at once", async (t) => {
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { document: page });
  t.after(() => Reflect.deleteProperty(globalThis, "document"));
  const { fake, seen } = following(t);
  await until(() => seen.length === 1, "the first state");
  page.dispatchEvent(new Event("visibilitychange"));
  await until(() => fake.requests.length === 2, "another look");
});
