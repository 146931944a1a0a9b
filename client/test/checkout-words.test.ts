import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { OnrampProblem } from "@onramp/client";
import { load } from "./support/checkout.js";

const { sentenceOf, referenceOf } = await load('export * from "./sentences.ts";');
const languages = readdirSync("checkout/words").map((name) => name.replace(".ts", ""));
const wordsIn = async (language: string): Promise<Record<string, string>> => (await load(`export * from "./words/${language}.ts";`)).words;

/** What a sentence contains that says whether a card was charged. */
const CHARGE: Record<string, RegExp> = {
  de: /abgebucht/,
  en: /charged/,
  es: /cobrado/,
  fr: /débité/,
  it: /addebitat/,
  ja: /請求/,
  ko: /청구/,
  "pt-BR": /cobrado/,
  "zh-Hans": /扣款/,
};
const CODES = ["unreachable", "rate_limited", "paused", "inventory_low", "timeout", "not_available", "wallet_limit", "crypto_onramp_unsupported_country"];
/** Codes without a sentence of their own. */
const OTHERS = ["internal_error", "chain_unavailable", "stripe_echo_mismatch", "login_unavailable", "unknown_to_this_version"];
const DETAIL = "The quorum read of eth_chainId failed.";
const problem = (code: string, more = {}) => new OnrampProblem({ status: 503, code, title: "Service Unavailable", detail: DETAIL, ...more });

test("there is a pattern for each language", () => assert.deepEqual(languages.sort(), Object.keys(CHARGE).sort()));

for (const language of languages) {
  test(`${language}: only where a purchase is created does the page say that nothing was charged`, async () => {
    const words = await wordsIn(language);
    const charge = CHARGE[language] ?? /^/;
    for (const code of [...CODES, ...OTHERS]) {
      assert.match(sentenceOf({ words }, problem(code), "create"), charge, code);
      for (const about of ["", "quote", "link"]) assert.doesNotMatch(sentenceOf({ words }, problem(code), about), charge, `${code} ${about}`);
    }
    for (const key of ["link_unknown", "keyed", "receipt_failed", "history_none", "problem_offline"]) assert.doesNotMatch(`${words[key]}`, charge, key);
  });

  test(`${language}: what developers read is at most a reference`, async () => {
    const words = await wordsIn(language);
    for (const code of OTHERS) {
      for (const about of ["create", ""]) assert.ok(!sentenceOf({ words }, problem(code), about).includes(DETAIL), code);
      assert.equal(referenceOf({ words }, problem(code, { requestId: "r1" })), `${DETAIL} · ${words["reference"]} r1`);
    }
    assert.equal(referenceOf({ words }, problem("unreachable")), "");
    for (const pointer of ["/returnUrl", "#/reference"]) {
      const refused = problem("validation_failed", { status: 422, errors: [{ pointer, detail: "its origin is not one of the service's ALLOWED_ORIGINS" }] });
      assert.equal(sentenceOf({ words }, refused, "create"), `${words["shop_link"]} ${words["uncharged"]}`);
    }
  });
}

test("a link without a purchase asks not to pay again", async () => {
  const { link_unknown } = await wordsIn("en");
  assert.equal(link_unknown, "There is no purchase at this link. If you have paid, your payment counts: do not pay again; open the link you were given.");
});

test("Italian is formal, and calls the chain by one name", async () => {
  const text = Object.values(await wordsIn("it")).join("\n");
  assert.doesNotMatch(text, /\b(tuo|tua|tuoi|tue)\b|\b(Suo|Sua|Suoi|Sue)\b|\bcatena\b|sulla chain\b/);
  assert.match(text, /Il suo acquisto/);
});

test("Chinese does not call an explorer of blocks a browser", async () => {
  assert.equal((await wordsIn("zh-Hans"))["explorer"], "在区块浏览器中查看");
});
