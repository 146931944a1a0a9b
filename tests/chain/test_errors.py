"""What nodes say when they refuse, in their own words."""

import pytest

from chain import errors as e

A, B = "0x" + "a" * 40, "0x" + "b" * 40


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
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
        (-32005, "limit exceeded", e.RateLimited),
        (429, "slow down", e.RateLimited),
        (-32000, "Too Many Requests", e.RateLimited),
        (-32016, "over rate limit", e.RateLimited),
        (-32000, "request timed out", e.NodeTimeout),
        (-32000, "context deadline exceeded", e.NodeTimeout),
        (-32000, "no healthy upstream", e.Unreachable),
        (-32000, "invalid chain id for signer: have 1 want 31611", e.WrongChain),
        (-32000, "incorrect chain-id; expected 31611, got 1: invalid chain-id", e.WrongChain),
        (3, "execution reverted: ERC20: transfer amount exceeds balance", e.CallReverted),
        (-32000, "execution reverted: rate limit, transaction lockdown", e.CallReverted),
        (-32601, "the method eth_getBlockReceipts does not exist/is not available", e.Unknown),
        (-32603, "Internal error", e.Unknown),
        (None, "", e.Unknown),
    ],
)
def test_a_refusal_is_known_by_its_words(code: int | None, message: str, kind: type[e.NodeError]) -> None:
    assert e.classify(code, message) is kind
