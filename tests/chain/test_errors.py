"""The errors of nodes, by their own texts."""

import re

import pytest

from chain import errors as e

A, B = "0x" + "a" * 40, "0x" + "b" * 40


MESSAGES: list[tuple[int | None, str, type[e.NodeError]]] = [
    (-32000, "already known", e.AlreadyKnown),
    (-32000, "known transaction: 0xabc", e.AlreadyKnown),
    (-32000, "tx already in mempool", e.AlreadyKnown),
    (-32000, "tx already exists in cache", e.AlreadyKnown),
    (-32003, "transaction already imported", e.AlreadyKnown),
    (-32010, "AlreadyKnown", e.AlreadyKnown),
    (-32000, "nonce too low", e.NonceTooLow),
    (-32000, "nonce too low: next nonce 5, tx nonce 3", e.NonceTooLow),
    (-32000, "invalid nonce; got 3, expected 5: invalid sequence", e.NonceTooLow),
    (-32000, "invalid nonce; got 7, expected 5: invalid sequence", e.NonceTooHigh),
    (-32000, "account sequence mismatch, expected 7, got 5: incorrect account sequence", e.NonceTooLow),
    (-32000, "account sequence mismatch, expected 5, got 7: incorrect account sequence", e.NonceTooHigh),
    (-32000, "nonce too high", e.NonceTooHigh),
    (-32000, "replacement transaction underpriced", e.Underpriced),
    (-32000, "transaction underpriced: tip needed 1, tip permitted 0", e.Underpriced),
    (-32000, "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1", e.Underpriced),
    (-32000, "provided fee < minimum global fee (1abtc < 2abtc): insufficient fee", e.Underpriced),
    (-32000, "gas prices lower than base fee, got: 1 required: 2: insufficient fee", e.Underpriced),
    (-32000, "insufficient funds for gas * price + value: balance 0, tx cost 1", e.InsufficientFunds),
    (-32000, "sender balance < tx cost (1 < 2): insufficient funds", e.InsufficientFunds),
    (-32000, f"transaction from {A} to {B} rejected by the transaction lockdown", e.Lockdown),
    (-32000, "missing trie node 0xabc (path )", e.Pruned),
    (-32000, "failed to load state at height 5; version does not exist (latest height: 9)", e.Pruned),
    (-32603, "height 5 is not available, lowest height is 100", e.Pruned),
    (-32000, "header not found", e.Pruned),
    (-32000, "maximum [from, to] blocks distance: 10000", e.RangeTooLarge),
    (-32005, "query returned more than 10000 results", e.RangeTooLarge),
    (-32600, "ranges over 10000 blocks are not supported", e.RangeTooLarge),
    (-32005, "limit exceeded", e.LimitExceeded),
    (429, "slow down", e.RateLimited),
    (-32000, "Too Many Requests", e.RateLimited),
    (-32016, "over rate limit", e.RateLimited),
    (-32000, "request timed out", e.NodeTimeout),
    (-32000, "upstream request timeout", e.NodeTimeout),
    (-32000, "context deadline exceeded", e.NodeTimeout),
    (-32000, "no healthy upstream", e.Unreachable),
    (-32000, "invalid chain id for signer: have 1 want 31611", e.WrongChain),
    (-32000, "incorrect chain-id; expected 31611, got 1: invalid chain-id", e.WrongChain),
    (3, "execution reverted: ERC20: transfer amount exceeds balance", e.CallReverted),
    (-32000, "execution reverted: rate limit, transaction lockdown", e.CallReverted),
    (-32015, "VM execution error.", e.CallReverted),
    (-32000, "invalid opcode: INVALID", e.CallReverted),
    (-32000, "out of gas", e.CallReverted),
    (-32603, "EVM error OutOfGas", e.CallReverted),
    (-32003, "EVM error InvalidJump", e.CallReverted),
    (-32000, "gas uint64 overflow", e.CallReverted),
    (-32015, "OutOfGas", e.CallReverted),
    (-32000, "stack underflow (0 <=> 1)", e.CallReverted),
    (-32000, "invalid code: must not begin with 0xef", e.CallReverted),
    (-32603, "rpc error: code = Internal desc = out of gas", e.CallReverted),
    (-32000, "execution timeout", e.RanTooLong),
    (-32000, "invalid jump destination", e.CallReverted),
    (-32000, "stack limit reached 1024 (1023)", e.CallReverted),
    (-32000, "write protection", e.CallReverted),
    (-32000, "return data out of bounds", e.CallReverted),
    (-32000, "max call depth exceeded", e.CallReverted),
    (-32000, "max initcode size exceeded", e.CallReverted),
    (-32015, "StackOverflow", e.CallReverted),
    (-32015, "StaticCallViolation", e.CallReverted),
    (-32015, "BadInstruction", e.CallReverted),
    (-32010, "Transaction nonce is too low. Try incrementing the nonce.", e.NonceTooLow),
    (-32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 3", e.NonceTooLow),
    (-32010, "NonceGap, Future nonce. Expected nonce: 5", e.NonceTooHigh),
    (-32000, "fee cap less than block base fee: address 0x1, feeCap: 1 baseFee: 2", e.Underpriced),
    (-32000, "FeeTooLow, EffectivePriorityFeePerGas too low 0 < 1", e.Underpriced),
    (-32009, "Gas price below configured minimum gas price", e.Underpriced),
    (-32000, "InsufficientFunds, Account balance: 0, cumulative cost: 1", e.InsufficientFunds),
    (-32000, "insufficient balance for transfer", e.InsufficientFunds),
    (-32000, "Wrong chainId in signature", e.WrongChain),
    (-32000, "exceed maximum block range: 50000", e.RangeTooLarge),
    (-32000, "block range is too wide", e.RangeTooLarge),
    (-32602, "query exceeds max results 20000, retry with the range 1-2", e.RangeTooLarge),
    (
        -32602,
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
        e.RangeTooLarge,
    ),
    (-32614, "eth_getLogs is limited to a 10,000 range", e.RangeTooLarge),
    (-32602, "exceed max addresses or topics per search position", e.RangeTooLarge),
    (-32005, "daily request count exceeded, request rate limited", e.RateLimited),
    (-32007, "50/second request limit reached - reduce calls per second", e.RateLimited),
    (-32000, "Quota exceeded for quota metric 'Requests'", e.RateLimited),
    (429, "Your app has exceeded its compute units per second capacity.", e.RateLimited),
    (429, "Monthly capacity limit exceeded.", e.RateLimited),
    (-32000, "old data not available due to pruning", e.Pruned),
    (4444, "pruned history unavailable", e.Pruned),
    (-32000, "unknown block", e.Pruned),
    (-32001, "Block not found", e.Pruned),
    (-32000, "historical state 0xabc is not available", e.Pruned),
    (-32603, "height 100 must be less than or equal to the current blockchain height 50", e.Pruned),
    (-32602, "BlockOutOfRangeError: block height is 12 but requested was 100", e.Pruned),
    (-32000, "execution aborted (timeout = 5s)", e.RanTooLong),
    (-32000, "context canceled", e.NodeTimeout),
    (-32603, "502 Bad Gateway", e.Unreachable),
    (-32603, "503 Service Unavailable", e.Unreachable),
    (-32603, "dial tcp 10.0.0.1:8545: connect: connection refused", e.Unreachable),
    (-32603, "no available server", e.Unreachable),
    (-32600, "requested too many blocks from 1 to 5000, maximum is set to 200", e.RangeTooLarge),
    (-32602, "range 5000 exceeds limit of 200", e.RangeTooLarge),
    (-32602, "Requested range exceeds maximum RPC range limit", e.RangeTooLarge),
    (-32614, "eth_getLogs requests are limited to a 10,000 blocks range", e.RangeTooLarge),
    (-32000, "too many blocks requested", e.RangeTooLarge),
    (-32000, "exceed max block range: 100", e.RangeTooLarge),
    (-32004, "This request is not supported", e.MethodMissing),
    (-32000, "method eth_feeHistory is not allowed", e.MethodMissing),
    (-32600, "unsupported method: eth_maxPriorityFeePerGas", e.MethodMissing),
    (-32601, "the method eth_getBlockReceipts does not exist/is not available", e.MethodMissing),
    (-32603, "Internal error", e.Unknown),
    (None, "", e.Unknown),
]


@pytest.mark.parametrize(("code", "message", "kind"), MESSAGES)
def test_an_error_is_recognised_by_its_text(code: int | None, message: str, kind: type[e.NodeError]) -> None:
    assert e.classify(code, message) is kind


ERROR_TEXTS = [(kind, words) for kind, texts in e.ERROR_TEXTS for words in texts]


@pytest.mark.parametrize(("kind", "words"), ERROR_TEXTS, ids=[f"{kind.kind}-{words}" for kind, words in ERROR_TEXTS])
def test_each_pattern_matches_a_known_message(kind: type[e.NodeError], words: str) -> None:
    assert any(re.search(words, message.lower()) for _, message, expected in MESSAGES if expected is kind)
