import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const entries = Object.keys(manifest.exports).filter((name) => !/json$|css$/.test(name)).map((name) => name.replace("*", "en"));

test("every entry point can be imported where there is no browser, and does nothing by itself", () => {
  for (const entry of entries) {
    // Whatever is used of the network, the storage or timers at import fails here.
    const code = `
      globalThis.fetch = globalThis.setTimeout = () => { throw new Error("used at import"); };
      const before = Object.keys(globalThis).length;
      await import("@onramp/client${entry.slice(1)}");
      if (Object.keys(globalThis).length !== before) throw new Error("it leaves a global behind");`;
    assert.equal(execFileSync(process.execPath, ["--input-type=module", "--eval", code], { encoding: "utf8" }), "");
  }
});

test("the package has no dependencies, and every one for development says what it is for", () => {
  assert.equal(manifest.dependencies, undefined);
  assert.deepEqual(Object.keys(manifest["//devDependencies"]), Object.keys(manifest.devDependencies));
});

test("the code writes to no console, and names no host but Stripe's and documentation", () => {
  // Swagger UI and the console's libraries are not ours; tests in a browser show that their pages ask no other host:
  // tests/onramp/ops/test_api_reference.py, tests/browser/test_console.py.
  const ours = (file: string) => file.endsWith(".js") && !file.startsWith("served/docs/swagger-ui") && !file.startsWith("served/console/");
  for (const name of readdirSync("dist", { recursive: true, encoding: "utf8" }).filter(ours)) {
    const code = readFileSync(`dist/${name}`, "utf8");
    assert.ok(!/console\.|\bdebugger\b|eval\(/.test(code), name);
    const hosts = code.match(/https?:\/\/[\w.-]+/g) ?? [];
    const known = /stripe\.com$|html\.spec\.whatwg\.org$|mezo\.org$|standardwebhooks\.com$|onramp\.test$|pay\.example$|stripe\.test$/;
    // The checkout page draws SVG, and links to the apps of wallets; a browser test shows that it asks no other host.
    const ofPage = name.includes("checkout") ? /www\.w3\.org$|metamask\.app\.link$|go\.cb-w\.com$|link\.trustwallet\.com$/ : known;
    assert.deepEqual(hosts.filter((host) => !known.test(host) && !ofPage.test(host)), [], name);
  }
});

test("the style sheet is one layer, and touches nothing outside of its component", () => {
  const css = readFileSync("dist/styles.css", "utf8").replace(/\/\*[^]*?\*\//g, "");
  assert.match(css.trim(), /^@layer onramp \{[^]*\}$/);
  const selectors = [...css.matchAll(/([^{};]+)\{/g)].map(([, text = ""]) => text.trim()).filter((text) => !text.startsWith("@"));
  assert.ok(selectors.length > 10);
  const parts = selectors.flatMap((selector) => selector.split(",")).map((part) => part.trim());
  assert.deepEqual(parts.filter((part) => !/^\.onramp/.test(part)), []);
});
