import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG } from "@onramp/client/testing";
import { addMezo, discoverWallets, type FoundWallet, providerOf, watchMusd } from "@onramp/client/wallet";

/** A wallet that answers each method by a function, and remembers what it was asked. */
function wallet(answers: Record<string, (params: any) => unknown>) {
  const asked: { method: string; params?: unknown }[] = [];
  const request = async (call: { method: string; params?: unknown[] }) => {
    asked.push(call);
    return answers[call.method]?.(call.params);
  };
  return { asked, request };
}

test("each wallet that announces itself is found once, with a name of bounded length and no foreign image", (t) => {
  const page = new EventTarget();
  Object.assign(globalThis, {
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
    dispatchEvent: page.dispatchEvent.bind(page),
  });
  t.after(() => ["addEventListener", "removeEventListener", "dispatchEvent"].forEach((name) => Reflect.deleteProperty(globalThis, name)));
  const announce = (detail: unknown) => page.dispatchEvent(Object.assign(new Event("eip6963:announceProvider"), { detail }));
  const provider = wallet({});
  page.addEventListener("eip6963:requestProvider", () => announce({ info: { uuid: "a", name: "A", icon: "data:image/png;base64,AA" }, provider }));
  const found: FoundWallet[] = [];
  const stop = discoverWallets((each) => found.push(each));
  announce({ info: { uuid: "a", name: "again" }, provider });
  announce({ info: { uuid: "b", name: "B".repeat(100), icon: "https://tracker.test/b.png" }, provider });
  for (const broken of [null, {}, { info: {} }, { info: { uuid: "c" } }, { info: { uuid: "c" }, provider: {} }]) announce(broken);
  stop();
  announce({ info: { uuid: "d", name: "late" }, provider });
  assert.deepEqual(
    found.map(({ id, name, icon }) => [id, name, icon]),
    [["a", "A", "data:image/png;base64,AA"], ["b", "B".repeat(40), null]],
  );
});

test("a wallet that knows Mezo is moved there, and nothing is added", async () => {
  const known = wallet({});
  await addMezo(known, CONFIG);
  assert.deepEqual(known.asked, [{ method: "wallet_switchEthereumChain", params: [{ chainId: "0x7b7b" }] }]);
});

test("a wallet that does not know Mezo gets it from the service's configuration", async () => {
  let isKnown = false;
  const other = wallet({
    wallet_switchEthereumChain: () => isKnown || Promise.reject(Object.assign(new Error("unknown chain"), { code: 4902 })),
    wallet_addEthereumChain: () => (isKnown = true),
  });
  await addMezo(other, CONFIG);
  assert.deepEqual(other.asked.map(({ method }) => method), ["wallet_switchEthereumChain", "wallet_addEthereumChain", "wallet_switchEthereumChain"]);
  const nativeCurrency = { name: "Bitcoin", symbol: "BTC", decimals: 18 };
  assert.deepEqual(other.asked[1]?.params, [{ chainId: "0x7b7b", chainName: "Mezo testnet", nativeCurrency, rpcUrls: ["https://rpc.onramp.test"] }]);
});

test("a refusal in the wallet is the caller's to explain", async () => {
  const refusing = wallet({ wallet_switchEthereumChain: () => Promise.reject(Object.assign(new Error("no"), { code: 4001 })) });
  await assert.rejects(addMezo(refusing, CONFIG), { code: 4001 });
  assert.equal(refusing.asked.length, 1);
});

test("the wallet is asked to list MUSD as the service names it", async () => {
  const listing = wallet({ wallet_watchAsset: () => true });
  assert.equal(await watchMusd(listing, CONFIG), true);
  assert.deepEqual(listing.asked[0]?.params, { type: "ERC20", options: { address: CONFIG.musd.address, symbol: "MUSD", decimals: 18 } });
  assert.equal(await watchMusd(wallet({ wallet_watchAsset: () => false }), CONFIG), false);
});

test("a wagmi connector is asked for its provider, and one without is refused", async () => {
  const provider = wallet({ eth_chainId: () => "0x7b7b" });
  const own = await providerOf({ getProvider: async () => provider });
  assert.equal(await own.request({ method: "eth_chainId" }), "0x7b7b");
  for (const none of [undefined, null, {}]) await assert.rejects(providerOf({ getProvider: async () => none }), /no provider/);
});
