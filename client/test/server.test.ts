import assert from "node:assert/strict";
import { test } from "node:test";
import { createOnramp, problemOf } from "@onramp/client";
import { createPurchase } from "@onramp/client/purchase";
import { begin, open, phase } from "./support/shop.js";

test("a server of the dApp may create the session: it gets body and key, and is asked again like the service", async (t) => {
  const shop = open(t);
  const server = createOnramp({ baseUrl: "https://onramp.test", fetch: shop.fake.fetch, key: "ork_server" });
  const asked: string[] = [];
  const answers: (() => Promise<never>)[] = [
    () => Promise.reject(new TypeError("the server is away")),
    async () => Promise.reject(await problemOf(Response.json({ code: "stripe_unavailable", detail: "Later." }, { status: 503 }))),
  ];
  const tab = createPurchase({
    onramp: shop.fake.client(),
    storage: null,
    create: (body, options) => {
      asked.push(options.idempotencyKey);
      return answers.shift()?.() ?? server.sessions.create(body, options);
    },
  });
  t.after(tab.stop);
  shop.fake.move(await begin(tab), "completed");
  await phase(tab, "done");
  assert.deepEqual([asked.length, new Set(asked).size, shop.keys], [3, 1, [asked[0]]]);
  assert.deepEqual(shop.fake.requests.map(({ headers }) => headers.get("Authorization")).filter(Boolean), ["Bearer ork_server"]);
});
