/** `make example`: the dApp's server and its pages, beside a running `make run`. */

import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "vite";

const api = process.env["ONRAMP_URL"] ?? "http://127.0.0.1:3001";

/** Return the key that `onramp dev` made for dApps; undefined if it runs elsewhere, or with --data. */
function developmentKey() {
  const port = new URL(api).port;
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith("onramp-dev-")).map((name) => join(tmpdir(), name));
  const times = new Map();
  for (const folder of folders) {
    try {
      const file = join(folder, "environment");
      if (readFileSync(file, "utf8").includes(`\nPORT=${port}\n`)) times.set(folder, statSync(file).mtimeMs);
    } catch {
      // Another user's, or none of ours.
    }
  }
  const [newest] = [...times].sort(([, a], [, b]) => b - a).map(([folder]) => folder);
  return newest && JSON.parse(readFileSync(join(newest, "api-keys.json"), "utf8"))["dapp"];
}

/** End with a sentence for the person who started this. @param {string} text @returns {never} */
function refuse(text) {
  console.error(`example: ${text}`);
  process.exit(1);
}

const isThere = await fetch(`${api}/api/v1/onramp/config`).then(({ ok }) => ok, () => false);
if (!isThere) refuse(`no service answers at ${api}. Run \`make run\` in another shell first, or set ONRAMP_URL.`);
const key = process.env["ONRAMP_KEY"] ?? developmentKey();
if (!key) refuse("the page of hooks needs a key: set ONRAMP_KEY to what `make run` prints as `dapp`.");

const server = spawn(process.execPath, ["server.mjs"], { stdio: "inherit", env: { ...process.env, ONRAMP_URL: api, ONRAMP_KEY: key } });
server.once("exit", (status) => process.exit(status ?? 0));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.kill());
process.env["VITE_ONRAMP_URL"] = api;
const pages = await createServer({ logLevel: "warn" });
try {
  await pages.listen();
} catch (error) {
  server.kill();
  refuse(`${error instanceof Error ? error.message : error}. Set PORT to another one, whose origin is in ALLOWED_ORIGINS of the service.`);
}
console.log(`example: ${pages.resolvedUrls?.local[0]} (components), and from there the other pages. Ctrl-C stops it.`);
