import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { buildSync } from "esbuild";

const CODE = `
  import { createElement } from "react";
  import { renderToString } from "react-dom/server";
  import { BuyButton, BuyMusd, OnrampProvider, PurchaseStatus, useQuote, useSession } from "@onramp/client/react";
  import { en } from "@onramp/client/words/en";

  const provide = (props, ...children) => renderToString(createElement(OnrampProvider, { baseUrl: "https://onramp.test", ...props }, ...children));
  export const shop = (walletAddress, props) => provide(props, createElement(BuyMusd, { walletAddress }));
  export const button = (props) => provide({}, createElement(BuyButton, { walletAddress: "0x1", ...props }));
  export const status = () => provide({}, createElement(PurchaseStatus, { id: "ons_1" }));
  export const parts = () => provide({}, createElement(BuyMusd, { walletAddress: "0x1" }, createElement(BuyMusd.Pay)));
  export const hooks = () => provide({}, createElement(() => {
    useQuote({ sourceAmount: "1", sourceCurrency: "usd" });
    return useSession("ons_1").session?.id ?? "none";
  }));
  export const alone = () => renderToString(createElement(BuyMusd, { walletAddress: "0x1" }));
  export const words = en;
`;

/** The components as a server of this version of React renders them. */
function rendered(version: string): Record<string, any> {
  const alias: Record<string, string> = version === "18" ? { react: "react-18", "react-dom": "react-dom-18" } : {};
  const outfile = `build/react-${version}.cjs`;
  buildSync({ stdin: { contents: CODE, resolveDir: process.cwd() }, bundle: true, platform: "node", format: "cjs", alias, outfile, logLevel: "error" });
  return createRequire(import.meta.url)(`${process.cwd()}/${outfile}`);
}

for (const version of ["18", "19"]) {
  test(`React ${version} renders the components on a server, without asking anything`, () => {
    const { shop, button, status, parts, hooks, words } = rendered(version);
    const fetch = globalThis.fetch;
    globalThis.fetch = () => assert.fail("a server asked the service");
    try {
      const html = shop("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955");
      assert.match(html, /<section class="onramp" data-phase="compose">.*inputMode="decimal".*value="100".*<button type="button" class="onramp-pay">Buy MUSD</i);
      assert.match(html, /<label for="([^"]+)">.*<input id="\1".*aria-describedby="\1-error"/);
      assert.match(shop(null), new RegExp(words.wallet_missing));
      assert.match(shop("0x1", { words: { ...words, pay: "MUSD kaufen" }, locale: "de-DE" }), />MUSD kaufen</);
      assert.match(button(), /<button type="button"[^>]* aria-haspopup="dialog">Buy MUSD</);
      assert.match(button({ label: "Top up" }), />Top up<.*<dialog [^>]*aria-labelledby="([^"]+)"><h2 id="\1"[^>]*>Buy MUSD</);
      assert.doesNotMatch(button(), /<input| open/, "the dialog is closed, and what it would ask for is not there yet");
      assert.equal(parts().match(/<button|<input/g)?.join(), "<button");
      assert.match(status(), new RegExp(words.resuming));
      assert.equal(hooks(), "none");
    } finally {
      globalThis.fetch = fetch;
    }
  });

  test(`React ${version}: a component without its provider says what is missing`, () => {
    assert.throws(() => rendered(version)["alone"](), /<OnrampProvider>/);
  });
}
