import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const GUIDE = readFileSync("../docs/dapp.md", "utf8");
const TEN_LINES = readFileSync("example/src/ten-lines.tsx", "utf8");
const PAGE = readFileSync("example/src/ten-lines-page.tsx", "utf8");

test("a wagmi app that sells MUSD adds at most ten lines, which the guide shows and the example compiles", () => {
  assert.ok(GUIDE.includes(`\`\`\`tsx\n${TEN_LINES}\`\`\`\n`), "the guide shows example/src/ten-lines.tsx as it is");
  const own = TEN_LINES.split("\n").filter((line) => line.trim());
  const used = PAGE.split("\n").filter((line) => line.includes("TopUp"));
  assert.equal(used.length, 2, "its import, and its use");
  assert.ok(own.length + used.length <= 10, `${own.length} + ${used.length} lines`);
  assert.ok([...own, ...used].every((line) => line.length <= 100), "and no line holds two");
});

test("the guide names every part of the React client", async () => {
  const names = Object.keys(await import("@onramp/client/react"));
  assert.ok(names.length > 10);
  assert.deepEqual(names.filter((name) => !GUIDE.includes(name)), []);
});
