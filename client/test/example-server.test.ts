import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FakeOnramp, sessionIn, signWebhook } from "@onramp/client/testing";

const WALLET = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955";
const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const skip = existsSync("example/node_modules") ? false : "the example is not installed";

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Return a port that was free a moment ago. */
async function freePort(): Promise<string> {
  const server = createServer();
  const port = new URL(await listen(server)).port;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Start the example's server before a fake service; return the service, and how to ask the server. */
async function open(t: TestContext) {
  const fake = new FakeOnramp();
  const service = createServer(async (request, response) => {
    const { method = "", url, headers } = request;
    const body = method === "POST" ? Buffer.concat(await request.toArray()) : null;
    const answer = await fake.fetch(`https://onramp.test${url}`, { method, headers: headers as Record<string, string>, body });
    response.writeHead(answer.status, { "Content-Type": "application/json" }).end(await answer.text());
  });
  const port = await freePort();
  const variables = { ONRAMP_URL: await listen(service), ONRAMP_KEY: "ork_shop", ONRAMP_WEBHOOK_SECRET: SECRET, SERVER_PORT: port };
  const server = spawn(process.execPath, ["server.mjs"], { cwd: "example", env: { ...process.env, ...variables }, stdio: "ignore" });
  t.after(() => (server.kill(), service.closeAllConnections(), service.close()));
  const ask = async (path: string, init?: RequestInit): Promise<{ status: number; body: any }> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return { status: response.status, body: await response.json().catch(() => null) };
  };
  for (let tries = 0; await ask("/").then(() => false, () => true); tries += 1) {
    assert.ok(tries < 200, "the example's server did not start");
    await sleep(50);
  }
  const order = (body: object) => ask("/api/orders", { method: "POST", body: JSON.stringify(body) });
  return { fake, ask, order };
}

test("the example's server names the price, and fulfils what the service says is completed, once", { skip }, async (t) => {
  const { fake, ask, order } = await open(t);
  assert.equal((await order({ reference: "free", walletAddress: WALLET, idempotencyKey: "key-1" })).status, 422);
  assert.equal((await order({ reference: "toString", walletAddress: WALLET, idempotencyKey: "key-1" })).status, 422);
  const bought = { reference: "small", walletAddress: WALLET, sourceAmount: "1", returnUrl: "https://evil.test", idempotencyKey: "key-1" };
  const made = await order(bought);
  const { id, reference } = made.body;
  assert.deepEqual([made.status, made.body.sourceAmount, (await order(bought)).body.id], [201, "50", id]);
  const creates = fake.requests.filter(({ method }) => method === "POST");
  assert.deepEqual(creates.map(({ headers }) => headers.get("Authorization")), ["Bearer ork_shop", "Bearer ork_shop"]);
  assert.deepEqual(creates.map(({ body }) => (body as any).returnUrl), [undefined, undefined]);

  // A message is only a reason to look, and one that is not signed is not even that.
  const message = JSON.stringify({ type: "session.completed", timestamp: "2027-01-15T08:00:00Z", data: sessionIn("completed", { id, reference }) });
  const headers = await signWebhook(message, SECRET, "msg_1", Math.floor(Date.now() / 1000));
  assert.equal((await ask("/webhooks/onramp", { method: "POST", body: message })).status, 400);
  assert.equal((await ask("/webhooks/onramp", { method: "POST", body: message, headers })).status, 204);
  assert.deepEqual((await ask(`/api/orders/${reference}`)).body, { isFulfilled: false });
  fake.move(id, "completed", { sourceAmount: "49" });
  await ask("/webhooks/onramp", { method: "POST", body: message, headers });
  assert.deepEqual((await ask(`/api/orders/${reference}`)).body, { isFulfilled: false }, "it was not the amount that was ordered");
  fake.move(id, "completed", { sourceAmount: "50.00" });
  await ask("/webhooks/onramp", { method: "POST", body: message, headers });
  assert.deepEqual((await ask(`/api/orders/${reference}`)).body, { isFulfilled: true });
});

test("without any message the example's server looks by itself, and passes on what the service refuses", { skip }, async (t) => {
  const { fake, ask, order } = await open(t);
  fake.failNext(503, "paused");
  assert.deepEqual([await order({ reference: "large", walletAddress: WALLET, idempotencyKey: "key-2" })].map(({ status, body }) => [status, body.code]), [[503, "paused"]]);
  const { body } = await order({ reference: "large", walletAddress: WALLET, idempotencyKey: "key-2" });
  fake.move(body.id, "completed");
  for (let tries = 0; !(await ask(`/api/orders/${body.reference}`)).body.isFulfilled; tries += 1) {
    assert.ok(tries < 100, "it did not look");
    await sleep(50);
  }
});
