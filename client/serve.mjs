// Write what the service serves into dist/served: the client as modules and as a package, each file also compressed, and a manifest of all.
//
// Runs after `tsc`. The service reads the manifest once, when it starts; see onramp/client/files.py.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const SERVED = "dist/served";
const { name, version } = JSON.parse(readFileSync("package.json", "utf8"));
const TYPES = {
  ".js": "text/javascript; charset=utf-8",
  ".ts": "application/typescript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".tgz": "application/gzip",
};
const files = {};

const hashOf = (content) => createHash("sha256").update(content).digest("hex").slice(0, 32);

/** Write a file as it is and, where that is smaller, compressed; enter it into the manifest. */
function serve(path, content, more = {}) {
  const place = join(SERVED, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, content);
  const encodings = [];
  const compressed = {
    br: () => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }),
    gzip: () => gzipSync(content, { level: 9 }),
  };
  for (const [encoding, compress] of path.endsWith(".tgz") ? [] : Object.entries(compressed)) {
    const smaller = compress();
    if (smaller.length >= content.length) continue;
    writeFileSync(`${place}.${encoding}`, smaller);
    encodings.push(encoding);
  }
  files[path] = { type: TYPES[path.slice(path.lastIndexOf("."))], hash: hashOf(content), encodings, ...more };
}

/** The package's files, as paths within dist. */
const modules = readdirSync("dist", { recursive: true })
  .filter((path) => statSync(join("dist", path)).isFile() && !path.startsWith("served"))
  .sort();

rmSync(SERVED, { recursive: true, force: true });
mkdirSync(SERVED, { recursive: true });
for (const path of modules) serve(`client/${path}`, readFileSync(join("dist", path)));
// One hash for all modules: they import each other by relative paths, so their common folder is what may be cached for ever.
const tree = hashOf(modules.map((path) => files[`client/${path}`].hash).join()).slice(0, 12);

// The command, because it writes the same bytes for the same files.
const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", SERVED], { encoding: "utf8" }));
const packed = join(SERVED, filename);
const archive = readFileSync(packed);
rmSync(packed);
serve(`client/onramp-client-${version}.tgz`, archive);
serve("client/onramp-client.tgz", archive);

writeFileSync(join(SERVED, "manifest.json"), JSON.stringify({ name, version, tree, files }, null, 1));
