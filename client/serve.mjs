// Write what the service serves into dist/served: the client as modules and as a package, the checkout page, the API reference, and the libraries of the
// operator console; each file also compressed, and a manifest of all.
//
// Runs after `tsc`. The service reads the manifest once, when it starts; see onramp/client/files.py.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const SERVED = "dist/served";
const { name, version } = JSON.parse(readFileSync("package.json", "utf8"));
const TYPES = {
  ".js": "text/javascript; charset=utf-8",
  ".ts": "application/typescript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".svg": "image/svg+xml",
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

/** Texts whose keys the code puts together, such as `status_` and a status. All others are found in the code by name, or are only in the document. */
const BY_PREFIX = /^(amount|form|state|status|title)_/;

/** Bundle modules; return the files by their entry points, and chunks by their paths. */
async function bundle(entryPoints) {
  const { outputFiles, metafile } = await build({
    entryPoints,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    metafile: true,
    write: false,
    outdir: "checkout",
    outbase: "checkout",
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    logLevel: "warning",
  });
  const outputs = outputFiles.map((file) => ({ path: relative(process.cwd(), file.path), contents: file.contents, text: file.text }));
  return Object.fromEntries(outputs.map((output) => [metafile.outputs[output.path].entryPoint ?? output.path, output]));
}

/** Bundle the checkout page, and write its document once for each language. */
async function servePage() {
  const languages = readdirSync("checkout/words").map((file) => file.replace(".ts", "")).sort();
  // Two bundles, each whole: what a page needs first is one file, and shares no third one with what it needs later.
  const first = await bundle(["checkout/main.ts", "checkout/page.css"]);
  const later = await bundle(["checkout/later.ts", "checkout/development.ts"]);
  const texts = await bundle(languages.map((language) => `checkout/words/${language}.ts`));
  const code = [first["checkout/main.ts"], later["checkout/later.ts"]].map(({ text }) => text).join();
  const urls = {};
  for (const [entry, { path, contents }] of Object.entries({ ...first, ...later })) {
    urls[entry] = `/${path}`;
    // Signs with publicly known keys, so the service serves it in development only.
    serve(path, contents, { immutable: true, ...(entry === "checkout/development.ts" && { development: true }) });
  }
  const mark = readFileSync("checkout/mark.svg");
  const icon = `checkout/mark-${hashOf(mark).slice(0, 8)}.svg`;
  serve(icon, mark, { immutable: true });
  const template = readFileSync("checkout/index.html", "utf8");
  const frame = (await transform(readFileSync("checkout/frame.css", "utf8"), { loader: "css", minify: true })).code.trim();
  const style = `sha256-${createHash("sha256").update(frame).digest("base64")}`;
  const fixed = {
    script: urls["checkout/main.ts"],
    later: urls["checkout/later.ts"],
    development: urls["checkout/development.ts"],
    style: urls["checkout/page.css"],
    mark: `/${icon}`,
    frame,
  };
  for (const lang of languages) {
    const source = texts[`checkout/words/${lang}.ts`].text;
    const { words } = await import(`data:text/javascript;base64,${Buffer.from(source).toString("base64")}`);
    const spoken = Object.fromEntries(Object.entries(words).filter(([key]) => BY_PREFIX.test(key) || new RegExp(`\\b${key}\\b`).test(code)));
    const module = `export const words=${JSON.stringify(spoken)};`;
    const place = `checkout/words-${lang}-${hashOf(module).slice(0, 8)}.js`;
    serve(place, module, { immutable: true });
    const escaped = Object.fromEntries(Object.entries(words).map(([key, text]) => [key, text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;")]));
    const values = { ...escaped, ...fixed, lang, words: `/${place}` };
    const html = template.replace(/\{\{(\w+)\}\}/g, (_, key) => {
      if (values[key] === undefined) throw new Error(`checkout/index.html: there is no text {{${key}}} in ${lang}`);
      return values[key];
    });
    serve(`page/${lang}.html`, html);
  }
  return { languages, style };
}

// Swagger UI, and our script that starts it. The service writes the page itself, see onramp/ops/reference.py.
for (const file of ["swagger-ui-bundle.js", "swagger-ui.css"]) serve(`docs/${file}`, readFileSync(`node_modules/swagger-ui-dist/${file}`));
serve("docs/reference.js", readFileSync("reference/reference.js"));

// The libraries of the operator console, as npm ci has verified them. The service serves none whose hash differs from onramp/console/vendored.py.
const LIBRARIES = { "lit-html.js": "lit-html/lit-html.js", "uplot.js": "uplot/dist/uPlot.esm.js", "uplot.css": "uplot/dist/uPlot.min.css", "uqr.js": "uqr/dist/index.mjs" };
for (const [name, source] of Object.entries(LIBRARIES)) serve(`console/${name}`, readFileSync(`node_modules/${source}`));

const page = await servePage();
writeFileSync(join(SERVED, "manifest.json"), JSON.stringify({ name, version, tree, page, files }, null, 1));
