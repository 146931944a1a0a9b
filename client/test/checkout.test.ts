import assert from "node:assert/strict";
import { test } from "node:test";
import { sessionIn } from "@onramp/client/testing";
import { load } from "./support/checkout.js";

const page = await load('export * from "./page.ts"; export * from "./amounts.ts"; export { appLinks } from "./wallets.ts"; export { explain } from "./steps.ts"; export { isOfTheWeb } from "./dom.ts"; export { words } from "./words/en.ts";');
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

test("the parameters of the URL are read, and those that cannot be used are left out", () => {
  const url = new URL("https://pay.example/checkout?amount=%20100.00&currency=EUR&wallet=0xab&reference=order+17&returnUrl=https%3A%2F%2Fshop.example%2F&locale=de-CH&theme=neon");
  assert.deepEqual(page.parametersOf(url), {
    id: null,
    isLinkBroken: false,
    amount: "100.00",
    currency: "eur",
    wallet: "0xab",
    reference: "order 17",
    returnUrl: "https://shop.example/",
    locale: "de-CH",
    theme: "auto",
  });
  const of = (path: string) => page.parametersOf(new URL(path, "https://pay.example"));
  assert.equal(of("/checkout/s/ons_1?theme=dark").id, "ons_1");
  assert.equal(of("/checkout/s/ons_1?theme=dark").theme, "dark");
  for (const path of ["/checkout", "/checkout/"]) assert.deepEqual([of(path).id, of(path).isLinkBroken], [null, false], path);
});

test("the link of a purchase is read with what a text or a mail left at its end, and one that names none is known as such", () => {
  const of = (path: string) => page.parametersOf(new URL(path, "https://pay.example"));
  for (const end of ["", ".", ")", ").", "/", "%20", "%0A", ",", "%3E", "%E3%80%82", "*", "_", "%"]) {
    assert.deepEqual([of(`/checkout/s/ons_1${end}`).id, of(`/checkout/s/ons_1${end}`).isLinkBroken], ["ons_1", false], end);
  }
  for (const path of ["/checkout/s", "/checkout/s/", "/checkout/s/a/b", "/checkout/s/%3Cb%3E", "/checkout/s/ons_1%20x", "/checkout/s/%E0%A4%A"]) {
    assert.deepEqual([of(path).id, of(path).isLinkBroken], [null, true], path);
  }
});

test("an amount of the URL in any other form than the service's leaves the field empty, with what it may mean", () => {
  assert.deepEqual(page.askedAmount(null), { text: "100", readings: [] });
  assert.deepEqual(page.askedAmount("1000.50"), { text: "1000.50", readings: [] });
  assert.deepEqual(page.askedAmount("1.000"), { text: "", readings: ["1.00", "1000.00"] });
  assert.deepEqual(page.askedAmount("1,000.00"), { text: "", readings: ["1000.00"] });
  for (const unusable of ["-5", "lots", "1e3", "100."]) assert.deepEqual(page.askedAmount(unusable), { text: "", readings: [] }, unusable);
});

test("a way back may have its scheme in capitals, and leads to the web alone", () => {
  for (const url of ["https://shop.example/", "HTTPS://shop.example/", "Http://localhost:5173/"]) assert.ok(page.isOfTheWeb(url), url);
  for (const url of ["javascript:alert(1)//https://", "data:text/html,https://", "ftp://shop.example"]) assert.ok(!page.isOfTheWeb(url), url);
});

test("the link of a purchase keeps language and theme, and drops what was about the order", () => {
  const parameters = page.parametersOf(new URL("https://pay.example/checkout?amount=5&locale=fr&theme=dark&reference=x"));
  assert.equal(page.pathOf("ons_1", parameters), "/checkout/s/ons_1?locale=fr&theme=dark");
  assert.equal(page.pathOf(null, page.parametersOf(new URL("https://pay.example/checkout"))), "/checkout");
});

test("amounts are written as the parameter's region does, else the browser's, if it is the page's language", () => {
  assert.equal(page.numberLocale("de", ["de-CH", "de-DE"]), "de-CH");
  assert.equal(page.numberLocale("en", [null, "de-DE", "en-GB"]), "en-GB");
  assert.equal(page.numberLocale("ja", ["de"]), "ja");
  assert.equal(page.numberLocale("en", ["en-!!"]), "en");
});

test("amounts are shown exactly, and an estimate is never rounded up", () => {
  assert.equal(page.priced("1000.5", "usd", "en-US"), "$1,000.50");
  assert.equal(plain(page.priced("0.0051", "eur", "de")), "0,0051 €");
  assert.equal(page.pricedWhole("10000.00", "usd", "en-US"), "$10,000");
  assert.equal(page.pricedWhole("1.50", "usd", "en-US"), "$1.50");
  assert.equal(page.musdAbout("99.999999999999999999", "en-US"), "99.9999");
  assert.equal(page.musd("1234.500000000000000001", "de"), "1.234,500000000000000001");
  assert.equal(page.typedForm("1000.50", "de"), "1000,50");
  assert.equal(page.typedForm("100.00", "en"), "100");
  assert.equal(page.signOf("eur", "en-US"), "€");
});

test("every state has a title and a sentence of its own, and one that is paid never asks to pay", () => {
  const said = new Set<string>();
  for (const status of ["processing", "delivering", "completed", "rejected", "expired", "attention"] as const) {
    const { title, detail } = page.explain({ phase: "track", session: sessionIn(status) }, page.words, "en-US");
    said.add(title).add(detail);
    assert.doesNotMatch(detail, /[{}]|undefined/);
  }
  assert.equal(said.size, 12);
  const session = sessionIn("delivering");
  const reasons = ["waiting_for_second_node", "chain_paused", "payouts_paused", "awaiting_approval", "screening", "insufficient", "reorg"];
  for (const reason of reasons) {
    const { detail } = page.explain({ phase: "track", session: { ...session, delivery: { ...session.delivery, reason } } }, page.words, "en-US");
    assert.match(detail, /^You have paid/);
    said.add(detail);
  }
  assert.equal(said.size, 12 + reasons.length);
});

test("a wallet's app is asked to open this page", () => {
  const links: { name: string; href: string }[] = page.appLinks("https://pay.example/checkout?amount=5&x=1");
  assert.equal(links[0]?.href, "https://metamask.app.link/dapp/pay.example/checkout?amount=5&x=1");
  for (const { href } of links.slice(1)) assert.equal(new URL(href).searchParams.size > 0 && href.endsWith(encodeURIComponent("https://pay.example/checkout?amount=5&x=1")), true);
});
