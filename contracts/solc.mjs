#!/usr/bin/env node
// The official Solidity compiler from npm, with the command line that forge and slither expect: `--version`, and `--standard-json`
// from stdin to stdout. package-lock.json pins it by its hash.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");

if (process.argv.includes("--version")) {
  console.log("solc, the solidity compiler commandline interface");
  console.log(`Version: ${solc.version().replace("Emscripten.clang", "Linux.g++")}`);
} else if (process.argv.includes("--standard-json")) {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
} else {
  console.error("usage: solc.mjs --version | --standard-json <input.json");
  process.exit(2);
}
