/**
 * Check a delivery through the buyer's own node, without trusting the service.
 *
 * The service's word is only where to look, the transaction's hash. What counts is read from the node: the chain, the receipt, its block,
 * and a Transfer of MUSD to the buyer. The transaction may pay many buyers at once and go through a contract, so its sender and target say nothing.
 */

import type { Eip1193 } from "./auth.js";
import { MUSD_DECIMALS, parseUnits } from "./money.js";

/** MUSD on Mezo's chains (https://mezo.org/docs): testnet and mainnet. Pinned here, because the service could name another token. */
export const MUSD: Readonly<Record<number, string>> = {
  31611: "0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503",
  31612: "0xdD468A1DDc392dcdbEf6db6e34E89AA338F9F186",
};

/** keccak256 of `Transfer(address,address,uint256)`. */
const TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

const NODE_MS = 15_000;

/** What the purchase promises; a session fits, and so does anything else with these fields. */
export interface Claim {
  walletAddress: string;
  delivery: { txHash: string | null; expectedAmount: string | null };
}

/** What the buyer knows better than the service. */
export interface VerifyOptions {
  /** The wallet that must have received it; by default the session's. Name the buyer's own if you have it. */
  wallet?: string;
  /** The chain that the node must be on; by default any of Mezo's. */
  chainId?: number;
  /** The token; by default MUSD as pinned for the chain. */
  token?: string;
  /** The position of the transfer, from the service's proof: needed where one transaction pays a wallet the same amount twice. */
  logIndex?: number;
  /** Blocks that must hold the transfer, its own included; 1 by default. */
  confirmations?: number;
}

/** A transfer as the node shows it. The same transfer must not stand for two purchases: compare `txHash` and `logIndex`. */
export interface VerifiedTransfer {
  txHash: string;
  logIndex: number;
  blockNumber: number;
  blockHash: string;
  confirmations: number;
  token: string;
  from: string;
  to: string;
  /** Base units of MUSD. */
  amount: bigint;
}

/** Why a delivery is not verified. Only `reverted` and `no_transfer` contradict the service; the others mean that it is too early, or that this node cannot tell. */
export type Unverified = "not_sent" | "wrong_chain" | "not_found" | "reverted" | "no_transfer" | "not_confirmed" | "node_failed";

export type Verification = { verified: true; transfer: VerifiedTransfer } | { verified: false; reason: Unverified; detail: string };

interface Log {
  address: string;
  topics: string[];
  data: string;
  logIndex: string;
  removed?: boolean;
}

interface Receipt {
  status: string;
  transactionHash: string;
  blockNumber: string;
  blockHash: string;
  logs: Log[];
}

const no = (reason: Unverified, detail: string): Verification => ({ verified: false, reason, detail });
const word = (address: string) => `0x${address.toLowerCase().replace(/^0x/, "").padStart(64, "0")}`;
const address = (topic: string | undefined) => `0x${(topic ?? "").slice(-40)}`;

/** Return whether the node shows the transfer that the purchase promises. Never throws: a node that fails is a reason, too. */
export async function verifyDelivery(claim: Claim, provider: Eip1193, options: VerifyOptions = {}): Promise<Verification> {
  try {
    return await check(claim, provider, options);
  } catch (error) {
    return no("node_failed", `The node did not answer as it should: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Return a node of your own as a provider: JSON-RPC over HTTP, for a page without a wallet, and for a server. */
export function nodeAt(url: string): Eip1193 {
  return {
    async request(call) {
      const init = { method: "POST", headers: { "Content-Type": "application/json" }, signal: AbortSignal.timeout(NODE_MS) };
      const response = await fetch(url, { ...init, body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...call }) });
      const { result, error } = await response.json();
      if (result === undefined) throw new Error(error?.message ?? `HTTP ${response.status}`);
      return result;
    },
  };
}

async function check(claim: Claim, provider: Eip1193, options: VerifyOptions): Promise<Verification> {
  const ask = (method: string, ...params: unknown[]) => provider.request({ method, params });
  const { txHash, expectedAmount } = claim.delivery;
  if (!txHash || expectedAmount === null) return no("not_sent", "The service names no transaction yet.");
  const chainId = Number(await ask("eth_chainId"));
  if (options.chainId !== undefined && chainId !== options.chainId) {
    return no("wrong_chain", `The node is on chain ${chainId}, not ${options.chainId}: switch the wallet's network.`);
  }
  const token = options.token ?? MUSD[chainId];
  if (token === undefined) return no("wrong_chain", `The node is on chain ${chainId}, which is not Mezo: switch the wallet's network.`);
  const receipt = (await ask("eth_getTransactionReceipt", txHash)) as Receipt | null;
  if (!receipt) return no("not_found", "The node does not know this transaction, or has not mined it yet.");
  if (receipt.transactionHash.toLowerCase() !== txHash.toLowerCase()) return no("node_failed", "The node answered for another transaction.");
  if (BigInt(receipt.status) !== 1n) return no("reverted", "The transaction failed on the chain: it moved nothing.");
  const amount = parseUnits(expectedAmount, MUSD_DECIMALS);
  const to = options.wallet ?? claim.walletAddress;
  const { logIndex } = options;
  const log = receipt.logs.find((each) => isTransfer(each, token, to, amount) && Number(each.logIndex) === (logIndex ?? Number(each.logIndex)));
  if (!log) return no("no_transfer", `The transaction moves no ${expectedAmount} MUSD to ${to}.`);
  const block = (await ask("eth_getBlockByNumber", receipt.blockNumber, false)) as { hash: string } | null;
  if (block?.hash !== receipt.blockHash) return no("not_confirmed", "The block of this transaction was replaced. Try again in a moment.");
  const blockNumber = Number(receipt.blockNumber);
  const confirmations = Number(await ask("eth_blockNumber")) - blockNumber + 1;
  const required = options.confirmations ?? 1;
  if (confirmations < required) return no("not_confirmed", `${confirmations} of ${required} blocks hold this transfer. Try again in a moment.`);
  const from = address(log.topics[1]);
  const place = { txHash, logIndex: Number(log.logIndex), blockNumber, blockHash: receipt.blockHash, confirmations };
  return { verified: true, transfer: { ...place, token, from, to, amount } };
}

function isTransfer(log: Log, token: string, to: string, amount: bigint): boolean {
  const [topic, , recipient] = log.topics;
  const isIt = log.address.toLowerCase() === token.toLowerCase() && topic === TRANSFER && recipient?.toLowerCase() === word(to);
  return isIt && log.topics.length === 3 && BigInt(log.data) === amount && !log.removed;
}
