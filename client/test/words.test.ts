import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { isPaid, type SessionStatus } from "@onramp/client";
import { sessionIn } from "@onramp/client/testing";
import { en } from "@onramp/client/words/en";
// Not an entry point: it is what the components show.
import { fill, wordsOf } from "../dist/react/sentences.js";

const STATUSES: SessionStatus[] = ["awaiting_payment", "processing", "delivering", "completed", "rejected", "expired", "attention"];

const sentence = (status: SessionStatus) => wordsOf({ phase: "track", session: sessionIn(status) }, en, "en-US").replace(/\u00a0/g, " ");

test("every status has its own sentence, with nothing left to fill in", () => {
  const sentences = STATUSES.map(sentence);
  assert.ok(sentences.every((text) => /\w\.$/.test(text) && !/[{}]|undefined/.test(text)), sentences.join("\n"));
  // Paid by the word of Stripe's form alone looks like a payment that is processed.
  assert.equal(new Set(sentences).size, STATUSES.length - 1);
  assert.equal(sentence("completed"), "99.50 MUSD arrived in your wallet.");
});

test("a status that this version does not know asks not to pay again", () => {
  const text = sentence("frozen" as SessionStatus);
  assert.match(text, /do not pay again.*ons_test/);
  assert.ok(isPaid("frozen" as SessionStatus));
});

test("nothing tells a buyer to pay again who has paid or may have", () => {
  for (const status of [...STATUSES, "frozen" as SessionStatus].filter(isPaid)) assert.doesNotMatch(sentence(status), /start|try again|new purchase/i, status);
});

test("a transfer that is on the chain has a sentence of its own", () => {
  const session = sessionIn("delivering");
  const seen = { ...session, delivery: { ...session.delivery, status: "seen" as const } };
  assert.equal(wordsOf({ phase: "track", session: seen }, en), en.seen);
});

test("a value may contain braces, and a name without a value stays", () => {
  assert.equal(fill("{a} {b}", { a: "{b}" }), "{b} {b}");
});

for (const file of readdirSync("dist/words").filter((name) => name.endsWith(".js") && name !== "en.js")) {
  const language = file.replace(".js", "");

  test(`${language} says everything that English says, with the same values to fill in`, async () => {
    const [words] = Object.values(await import(`@onramp/client/words/${language}`)) as (typeof en)[];
    assert.ok(words);
    const names = (text: string) => text.match(/\{\w+\}/g)?.sort().join() ?? "";
    assert.deepEqual(Object.keys(words), Object.keys(en));
    for (const [key, text] of Object.entries<string>(en)) {
      const translated: string = words[key as keyof typeof en];
      assert.equal(names(translated), names(text), key);
      assert.ok(translated.trim() && translated !== text, key);
    }
  });
}

test("the languages are those that the guide names", () => {
  const languages = readdirSync("dist/words").filter((name) => name.endsWith(".js")).map((name) => name.replace(".js", ""));
  assert.deepEqual(languages.sort(), ["de", "en", "es", "fr", "it", "ja", "ko", "pt-BR", "zh-Hans"]);
});
