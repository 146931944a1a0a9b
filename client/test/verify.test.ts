import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { Eip1193, Session } from "@onramp/client";
import { fakeNode, sessionIn } from "@onramp/client/testing";
import { MUSD, nodeAt, verifyDelivery } from "@onramp/client/verify";

const DONE = sessionIn("completed");
const HASH = DONE.delivery.txHash ?? "";

async function receiptOf(node: Eip1193): Promise<any> {
  return structuredClone(await node.request({ method: "eth_getTransactionReceipt" }));
}

/** Why the delivery is not verified by a node with these answers; "verified" if it is. */
async function outcome(changes: Record<string, unknown>, session: Session = DONE): Promise<string> {
  const result = await verifyDelivery(session, fakeNode(session, changes));
  return result.verified ? "verified" : result.reason;
}

async function withLogs(change: (logs: any[]) => any[]): Promise<Record<string, unknown>> {
  const receipt = await receiptOf(fakeNode(DONE));
  return { eth_getTransactionReceipt: { ...receipt, logs: change(receipt.logs) } };
}

test("a transfer of MUSD to the buyer is verified for any sender and any called contract", async () => {
  const changes = await withLogs(([log]) => [
    { ...log, topics: [log.topics[0], log.topics[1], `0x${"11".repeat(32)}`], logIndex: "0x0" },
    { ...log, address: `0x${"22".repeat(20)}`, logIndex: "0x1" },
    { ...log, topics: [`0x${"33".repeat(32)}`], data: "0x", logIndex: "0x2" },
    { ...log, logIndex: "0x3" },
  ]);
  const result = await verifyDelivery(DONE, fakeNode(DONE, changes));
  assert.ok(result.verified);
  const { amount, logIndex, confirmations, to } = result.transfer;
  assert.deepEqual([amount, logIndex, confirmations, to], [99500000000000000000n, 3, 3, DONE.walletAddress]);
});

test("two equal transfers of one transaction are told apart by their position", async () => {
  const changes = await withLogs(([log]) => [log, { ...log, logIndex: "0x4" }]);
  for (const logIndex of [0, 4]) {
    const result = await verifyDelivery(DONE, fakeNode(DONE, changes), { logIndex });
    assert.ok(result.verified && result.transfer.logIndex === logIndex);
  }
  const none = await verifyDelivery(DONE, fakeNode(DONE, changes), { logIndex: 2 });
  assert.ok(!none.verified && none.reason === "no_transfer");
});

test("another amount, recipient or token is no delivery", async () => {
  assert.equal(await outcome(await withLogs(([log]) => [{ ...log, data: `0x${"0".repeat(63)}1` }])), "no_transfer");
  assert.equal(await outcome(await withLogs(([log]) => [{ ...log, topics: [log.topics[0], log.topics[2], log.topics[1]] }])), "no_transfer");
  assert.equal(await outcome(await withLogs(([log]) => [{ ...log, address: `0x${"22".repeat(20)}` }])), "no_transfer");
  assert.equal(await outcome(await withLogs(([log]) => [{ ...log, removed: true }])), "no_transfer");
  assert.equal(await outcome(await withLogs(() => [])), "no_transfer");
});

test("the buyer's own wallet counts, if it is named, and not the one that the service names", async () => {
  const result = await verifyDelivery(DONE, fakeNode(DONE), { wallet: `0x${"44".repeat(20)}` });
  assert.ok(!result.verified && result.reason === "no_transfer");
});

test("the token is MUSD as pinned here, whatever the service says; another one has to be named by the caller", async () => {
  const token = `0x${"22".repeat(20)}`;
  const changes = await withLogs(([log]) => [{ ...log, address: token }]);
  assert.equal(await outcome(changes), "no_transfer");
  assert.ok((await verifyDelivery(DONE, fakeNode(DONE, changes), { token })).verified);
  assert.deepEqual(Object.keys(MUSD), ["31611", "31612"]);
});

test("a transaction that failed, that is unknown, or whose block was replaced is not a delivery", async () => {
  const receipt = await receiptOf(fakeNode(DONE));
  assert.equal(await outcome({ eth_getTransactionReceipt: { ...receipt, status: "0x0" } }), "reverted");
  assert.equal(await outcome({ eth_getTransactionReceipt: null }), "not_found");
  assert.equal(await outcome({ eth_getTransactionReceipt: { ...receipt, transactionHash: `0x${"99".repeat(32)}` } }), "node_failed");
  assert.equal(await outcome({ eth_getBlockByNumber: { hash: `0x${"99".repeat(32)}` } }), "not_confirmed");
  assert.equal(await outcome({ eth_getBlockByNumber: null }), "not_confirmed");
});

test("a node on another chain, or one that fails, says so and does not throw", async () => {
  assert.equal(await outcome({ eth_chainId: "0x1" }), "wrong_chain");
  const other = await verifyDelivery(DONE, fakeNode(DONE), { chainId: 31612 });
  assert.ok(!other.verified && other.reason === "wrong_chain");
  for (const answer of [undefined, {}, "nonsense", 7]) assert.equal(await outcome({ eth_getTransactionReceipt: answer ?? [] }), "node_failed");
  const silent = { request: () => Promise.reject(new Error("The user rejected the request.")) };
  assert.deepEqual(await verifyDelivery(DONE, silent), {
    verified: false,
    reason: "node_failed",
    detail: "The node did not answer as it should: The user rejected the request.",
  });
});

test("a purchase whose MUSD was not sent has nothing to verify", async () => {
  assert.equal(await outcome({}, sessionIn("delivering")), "not_sent");
  assert.equal(await outcome({}, sessionIn("awaiting_payment")), "not_sent");
});

test("as many blocks as are asked for must hold the transfer", async () => {
  const early = await verifyDelivery(DONE, fakeNode(DONE), { confirmations: 4 });
  assert.ok(!early.verified && early.reason === "not_confirmed");
  assert.ok((await verifyDelivery(DONE, fakeNode(DONE), { confirmations: 3 })).verified);
  assert.equal(HASH.length, 66);
});

test("a node of one's own is asked over HTTP, and one that fails is a reason", async (t) => {
  const answers: string[] = [];
  const server = createServer(async (request, response) => {
    const call = JSON.parse(Buffer.concat(await request.toArray()).toString());
    answers.push(call.method);
    const result = await fakeNode(DONE).request(call);
    response.end(JSON.stringify(request.url === "/" ? { jsonrpc: "2.0", id: call.id, result } : { error: { message: "over the limit" } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  assert.ok((await verifyDelivery(DONE, nodeAt(url))).verified);
  assert.ok(answers.includes("eth_getTransactionReceipt"));
  const refused = await verifyDelivery(DONE, nodeAt(`${url}key`));
  assert.ok(!refused.verified && refused.reason === "node_failed");
  assert.match(refused.detail, /over the limit/);
});
