import assert from "node:assert/strict";
import { test } from "node:test";
import { sessionIn } from "@onramp/client/testing";
import { buildSync } from "esbuild";

/** Import modules of the checkout page, which are bundled into files of their own and not compiled one by one. */
async function load(contents: string): Promise<any> {
  const stdin = { contents, resolveDir: "checkout", loader: "ts" } as const;
  const { outputFiles } = buildSync({ stdin, bundle: true, format: "esm", target: "es2022", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? "").toString("base64")}`);
}

const page = await load('export * from "./page.ts"; export * from "./amounts.ts"; export { appLinks } from "./wallets.ts"; export { explain } from "./steps.ts"; export { words } from "./words/en.ts";');
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

test("the parameters of the URL are read, and those that cannot be used are left out", () => {
  const url = new URL("https://pay.example/checkout?amount=%20100.00&currency=EUR&wallet=0xab&reference=order+17&returnUrl=https%3A%2F%2Fshop.example%2F&locale=de-CH&theme=neon");
  assert.deepEqual(page.parametersOf(url), {
    id: null,
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
  for (const path of ["/checkout/s/", "/checkout/s/a/b", "/checkout/s/%3Cb%3E"]) assert.equal(of(path).id, null, path);
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
