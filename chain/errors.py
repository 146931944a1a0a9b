"""The errors of nodes and of their agreement. Every message is safe to show: it contains no URL and no key.

A node's error code says little (-32603 says nothing at all), so `classify` matches the text against the messages of each client family.
No error here proves that a transaction failed: only an agreed receipt does.
"""

import re
from typing import Final


class ChainError(Exception):
    """The base of the errors about nodes, their agreement, and answers that cannot be used."""


class NodeError(ChainError):
    """A call to one node did not return a result; `node` is the node's name, never its URL."""

    kind = "unknown"

    def __init__(self, node: str, detail: str, *, code: int | None = None, data: str | None = None) -> None:
        """Create the error. The caller has already removed secrets from `detail`."""
        super().__init__(f"Node {node}: {detail}")
        self.node = node
        self.detail = detail
        self.code = code
        self.data = data


class AlreadyKnown(NodeError):
    """The node already holds exactly this transaction. For a broadcast this is a success."""

    kind = "already_known"


class NonceTooLow(NodeError):
    """The account has already used this nonce. Receipts show which transaction did; this error alone is not a failure."""

    kind = "nonce_too_low"


class NonceTooHigh(NodeError):
    """The nonce is ahead of the account's: the node lags, or dropped an earlier transaction. Mezo keeps no queue."""

    kind = "nonce_too_high"


class Underpriced(NodeError):
    """The fee is below the minimum, the base fee, or the price of a replacement."""

    kind = "underpriced"


class InsufficientFunds(NodeError):
    """The account cannot pay the value and the gas in the native token."""

    kind = "insufficient_funds"


class Lockdown(NodeError):
    """Mezo's emergency control refuses user transactions. The refusal costs no gas and does not use the nonce."""

    kind = "lockdown"


class Pruned(NodeError):
    """The node does not have the requested block or state: it was pruned, or is not there yet."""

    kind = "pruned"


class RangeTooLarge(NodeError):
    """The request covers more blocks or logs than the node returns at once."""

    kind = "range_too_large"


class BatchRefused(NodeError):
    """The node accepts no batches, or none of this size. The calls can be sent one by one."""

    kind = "batch_refused"


class OutOfBudget(NodeError):
    """The node's request rate or its monthly credits are used up."""

    kind = "out_of_budget"


class RateLimited(NodeError):
    """The node refuses further requests for a while; `retry_after` in seconds if the node gave a time."""

    kind = "rate_limited"
    retry_after: float | None = None


class LimitExceeded(RateLimited):
    """The error -32005, which does not name the limit: requests, or, for eth_getLogs, blocks (EIP-1474)."""


class NodeTimeout(NodeError):
    """The node gave no answer within the deadline. It may or may not have executed the request."""

    kind = "timeout"


class RanTooLong(NodeTimeout):
    """The node aborted a call at its execution limit. The called contract is the cause, not the node."""

    kind = "ran_too_long"


class Unreachable(NodeError):
    """No node could be asked, or there was no connection, a broken one, a redirect, or an error of a proxy or gateway instead of an answer."""

    kind = "unreachable"


class Malformed(Unreachable):
    """The answer is not JSON-RPC, belongs to another request, or holds a value that the method cannot return."""

    kind = "malformed"


class WrongChain(NodeError):
    """The node serves another chain, or the transaction was signed for another."""

    kind = "wrong_chain"


class CallReverted(NodeError):
    """The contract reverted; `data` is the revert data. Nodes must agree on it as on any other answer."""

    kind = "call_reverted"


class Unknown(NodeError):
    """An error of a node that no other class describes; it says nothing about what happened to the request."""

    kind = "unknown"


class MethodMissing(Unknown):
    """The node, or a gateway's list of allowed methods, does not have the method."""


class NoAgreement(ChainError):
    """Too few providers gave the same answer, or not more than gave other answers; no conclusion can be drawn.

    `reason` is `silence` (too few answers) or `dissent` (different answers). `answered` names the providers that gave an answer,
    `unknown_to` those that answered null; `errors` are the errors of the others.
    """

    def __init__(
        self,
        reason: str,
        *,
        answered: tuple[str, ...] = (),
        unknown_to: tuple[str, ...] = (),
        errors: tuple[NodeError, ...] = (),
        detail: str = "",
    ) -> None:
        """Create the error; `detail` replaces the default message."""
        super().__init__(detail or f"The nodes do not agree ({reason}).")
        self.reason = reason
        self.answered = answered
        self.unknown_to = unknown_to
        self.errors = errors


class NotEnoughProviders(NoAgreement):
    """Fewer providers are configured than must agree, so no answer can ever be accepted."""


_METHOD_MISSING = {-32601, -32004}
"""JSON-RPC's code for "method not found", and EIP-1474's for "method not supported"."""
_METHOD_WORDS = re.compile(
    r"method (?:\S+ )?(?:is |was )?(?:not (?:found|supported|available|allowed|whitelisted|enabled)|disabled|does not exist)"
    r"|(?:unsupported|unknown|disabled) method|does not exist/is not available"
)
_REVERTED = 3

_NONCE_GOT = re.compile(r"invalid nonce; got (\d+), expected (\d+)")
_SEQUENCE = re.compile(r"sequence mismatch, expected (\d+), got (\d+)")

# The first match wins. Reverts come first: a contract chooses its revert message, which must not pass for the node's own error.
# Texts of mezod and the Cosmos SDK, CometBFT, geth, erigon, nethermind, besu, reth, anvil and hosted gateways; a test has an example of each.
ERROR_TEXTS: Final[tuple[tuple[type[NodeError], tuple[str, ...]], ...]] = (
    (
        CallReverted,
        (
            *("execution reverted", "vm execution error", "invalid opcode", "out ?of ?gas", "evm error"),
            *("gas uint64 overflow", "invalid ?jump", "stack ?underflow", "stack ?overflow", "stack limit reached"),
            *("write protection", "static ?call ?violation", "return data out of bounds", "must not begin with 0xef"),
            *("call depth exceeded", "max (?:init)?code size exceeded", "bad ?instruction"),
        ),
    ),
    (Lockdown, ("transaction lockdown",)),
    (
        AlreadyKnown,
        (
            *("already known", "alreadyknown", "known transaction", "already in mempool"),
            *("already exists in cache", "already imported"),
        ),
    ),
    (
        NonceTooLow,
        (
            *("nonce too low", "nonce is too low", "oldnonce", "invalid nonce", "invalid sequence"),
            "incorrect account sequence",
        ),
    ),
    (NonceTooHigh, ("nonce too high", "noncegap")),
    (
        Underpriced,
        (
            *("underpriced", "insufficient fee", "less than block base fee", "feetoolow", "minimum global fee"),
            *(r"lower than (?:the )?(?:tx )?base ?fee", r"gas prices? (?:is )?(?:too low|lower)"),
            "gas price below",
        ),
    ),
    (InsufficientFunds, ("insufficient funds", "insufficientfunds", "insufficient balance", "balance < tx cost")),
    (WrongChain, ("invalid chain[ -]?id", "incorrect chain[ -]?id", "wrong chain[ -]?id")),
    (
        RangeTooLarge,
        (
            *("blocks distance", r"more than \d+ results", "block range", r"range (?:is )?too (?:large|wide)"),
            *("max results", "log response size", r"ranges? over \d+", r"limited to (?:a )?[\d,]+ (?:block )?range"),
            *("exceed max (?:addresses|topics)", r"too many blocks", r"range \d+ exceeds", "maximum rpc range"),
            *(r"limited to (?:a |\d)?[\d,]* ?blocks? range", r"exceeds? (?:the )?(?:max(?:imum)? )?(?:block )?range"),
        ),
    ),
    (
        RateLimited,
        (
            *("rate.?limit", "too many requests", "request limit", "quota exceeded"),
            *("compute units", "capacity limit exceeded"),
        ),
    ),
    (
        Pruned,
        (
            *("prun", "missing trie node", "header not found", "unknown block", "block not found"),
            *("historical state", "version does not exist", "failed to load state", "lowest height is"),
            *(r"height \d+ is not available", "must be less than or equal to the current", "blockoutofrange"),
        ),
    ),
    (RanTooLong, ("execution aborted", "execution timeout")),
    (NodeTimeout, ("timeout", "timed out", "deadline exceeded", "context canceled")),
    (
        Unreachable,
        (
            *("bad gateway", "service unavailable", "no (?:healthy )?(?:upstream|backend)", "connection refused"),
            "no available server",
        ),
    ),
)
_PATTERNS: Final = tuple((kind, re.compile("|".join(texts))) for kind, texts in ERROR_TEXTS)


def classify(code: int | None, message: str) -> type[NodeError]:
    """Return the error class for a node's JSON-RPC `code` and `message`; `Unknown` if none matches."""
    text = message.lower()
    if code in _METHOD_MISSING or _METHOD_WORDS.search(text):
        return MethodMissing
    if code == _REVERTED or "execution reverted" in text:
        return CallReverted
    for pattern, got_first in ((_NONCE_GOT, True), (_SEQUENCE, False)):
        match = pattern.search(text)
        if match:
            first, second = int(match[1]), int(match[2])
            got, expected = (first, second) if got_first else (second, first)
            return NonceTooHigh if got > expected else NonceTooLow
    for kind, pattern in _PATTERNS:
        if pattern.search(text):
            return kind
    # EIP-1474: -32005 is "limit exceeded". Some gateways put the HTTP status 429 in the code field.
    by_code: dict[int | None, type[NodeError]] = {-32005: LimitExceeded, 429: RateLimited, -32029: RateLimited}
    return by_code.get(code, Unknown)
