import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

/** Bytes of an entry point as a page loads it: bundled, minified, compressed; without React, and without the files named. */
function sizes(contents: string, without: string[] = []): { gzip: number; brotli: number } {
  const stdin = { contents, resolveDir: process.cwd() };
  const external = ["react", ...without];
  const { outputFiles } = buildSync({ stdin, bundle: true, minify: true, format: "esm", target: "es2022", write: false, external });
  const code = outputFiles[0]?.contents ?? new Uint8Array();
  assert.ok(code.length > 100, "nothing was bundled");
  return { gzip: gzipSync(code, { level: 9 }).length, brotli: brotliCompressSync(code).length };
}

for (const [name, limit] of [
  ["@onramp/client", 5 * 1024],
  ["@onramp/client/purchase", 4 * 1024],
  ["@onramp/client/verify", 1536],
  ["@onramp/client/webhooks", 1024],
] as const) {
  test(`${name} is at most ${limit} bytes, compressed`, (t) => {
    const { gzip, brotli } = sizes(`export * from "${name}";`);
    t.diagnostic(`${name}: ${gzip} bytes gzip, ${brotli} brotli`);
    assert.ok(gzip <= limit, `${gzip} bytes`);
  });
}

// The files of the client itself, which the hooks and components use.
const CORE = readdirSync("dist").filter((name) => name.endsWith(".js")).map((name) => `./dist/${name}`);

test("the hooks are at most 2048 bytes beside the client", (t) => {
  const hooks = "useDelivery, useMyPurchases, useOnramp, usePurchase, useQuote, useSession, useWalletLogin, OnrampProvider";
  const { gzip } = sizes(`export { ${hooks} } from "@onramp/client/react";`, [...CORE, "./dist/words/en.js"]);
  t.diagnostic(`hooks: ${gzip} bytes gzip`);
  assert.ok(gzip <= 2048, `${gzip} bytes`);
});

test("components and styles are at most 8192 bytes beside the client", (t) => {
  const code = sizes(`export * from "@onramp/client/react";`, CORE).gzip;
  const styles = gzipSync(readFileSync("dist/styles.css"), { level: 9 }).length;
  t.diagnostic(`components: ${code} bytes gzip, styles: ${styles}`);
  assert.ok(code + styles <= 8192, `${code} + ${styles} bytes`);
});

test("everything that a page can import is at most 15360 bytes, compressed", () => {
  const names = ["", "/purchase", "/verify", "/wallet", "/webhooks", "/react", "/query"];
  assert.ok(sizes(names.map((name) => `export * from "@onramp/client${name}";`).join("\n")).gzip <= 15 * 1024);
});

test("a page that imports one function does not load the rest", () => {
  assert.ok(sizes(`export { parseAmount } from "@onramp/client";`).gzip < 1200);
});
