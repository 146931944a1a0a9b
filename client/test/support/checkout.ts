/** The checkout page's modules, for tests. */

import { buildSync } from "esbuild";

/** Import modules of the checkout page, which are bundled into files of their own and not compiled one by one. */
export async function load(contents: string): Promise<any> {
  const stdin = { contents, resolveDir: "checkout", loader: "ts" } as const;
  const { outputFiles } = buildSync({ stdin, bundle: true, format: "esm", target: "es2022", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0]?.contents ?? "").toString("base64")}`);
}
