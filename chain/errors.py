"""What can go wrong with a node or with their agreement; every message is safe to show: no URL, no key.

A node's own error code says little (-32603 means nothing at all), so `classify` reads the text, client family by client
family. None of these says that a transaction failed: only an agreed receipt does.
"""

import re
from typing import Final


class ChainError(Exception):
    """Anything the chain floor reports."""


class NodeError(ChainError):
    """One node did not answer a call with a result; `node` is its name, never its address."""

    kind = "unknown"

    def __init__(self, node: str, detail: str, *, code: int | None = None, data: str | None = None) -> None:
        """Keep the parts; `detail` must already be free of secrets."""
        super().__init__(f"Node {node}: {detail}")
        self.node = node
        self.detail = detail
        self.code = code
        self.data = data


class AlreadyKnown(NodeError):
    """The node holds these very bytes already: a success for whoever broadcasts."""

    kind = "already_known"


class NonceTooLow(NodeError):
    """The account's nonce has passed this one: a question, answered by receipts, not a failure."""

    kind = "nonce_too_low"


class NonceTooHigh(NodeError):
    """The node knows of fewer transactions than the nonce claims: it lags, or one before was dropped.

    Mezo keeps no queue.
    """

    kind = "nonce_too_high"


class Underpriced(NodeError):
    """The fee is under the floor, the base fee, or what a replacement would need."""

    kind = "underpriced"


class InsufficientFunds(NodeError):
    """The account cannot pay value and gas in the native token."""

    kind = "insufficient_funds"


class Lockdown(NodeError):
    """Mezo's emergency control refuses user transactions: held by the chain, costs no gas, the nonce stays ours."""

    kind = "lockdown"


class Pruned(NodeError):
    """The node does not hold the block or state asked for: pruned, or not there yet."""

    kind = "pruned"


class RangeTooLarge(NodeError):
    """More blocks or logs were asked for than the node gives at once."""

    kind = "range_too_large"


class BatchRefused(NodeError):
    """The node takes no batch, or none of that size; each question by itself may be asked."""

    kind = "batch_refused"


class OutOfBudget(NodeError):
    """What was bought of this node is used up: for this second, or for this month."""

    kind = "out_of_budget"


class RateLimited(NodeError):
    """The node asks to be left alone for a while; `retry_after` in seconds where it said how long."""

    kind = "rate_limited"
    retry_after: float | None = None


class LimitExceeded(RateLimited):
    """-32005 in words that do not say which limit: of requests, or, for eth_getLogs, of blocks (EIP-1474)."""


class NodeTimeout(NodeError):
    """No answer within the deadline: what was asked may or may not have been done."""

    kind = "timeout"


class RanTooLong(NodeTimeout):
    """The node answered that a call ran for as long as it lets any run: the called code's doing, not the node's."""

    kind = "ran_too_long"


class Unreachable(NodeError):
    """No connection, a broken one, or a proxy's page instead of an answer."""

    kind = "unreachable"


class Malformed(Unreachable):
    """An answer that is no JSON-RPC, answers another question, or holds what the method cannot return."""

    kind = "malformed"


class WrongChain(NodeError):
    """The node serves another chain, or the transaction was signed for another."""

    kind = "wrong_chain"


class CallReverted(NodeError):
    """The contract refused the call; `data` is what it returned. Deterministic: an opinion like any other."""

    kind = "call_reverted"


class Unknown(NodeError):
    """An error this table does not know; nothing follows from it."""

    kind = "unknown"


class MethodMissing(Unknown):
    """The node, or a gateway's list of allowed methods, does not know the method."""


class NoAgreement(ChainError):
    """Too few providers said the same, or not more than said otherwise; nothing may be concluded.

    `reason` is `silence` or `dissent`; `answered` and `unknown_to` name the providers that said something, and those that
    said null; `errors`: what the silent ones answered instead.
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
        """Keep the parts."""
        super().__init__(detail or f"The nodes do not agree ({reason}).")
        self.reason = reason
        self.answered = answered
        self.unknown_to = unknown_to
        self.errors = errors


class NotEnoughProviders(NoAgreement):
    """Fewer providers are configured than must agree: no money can move whatever they say."""


_METHOD_MISSING = {-32601, -32004}
"""JSON-RPC's "method not found"; EIP-1474's "method not supported"."""
_METHOD_WORDS = re.compile(
    r"method (?:\S+ )?(?:is |was )?(?:not (?:found|supported|available|allowed|whitelisted|enabled)|disabled|does not exist)"
    r"|(?:unsupported|unknown|disabled) method|does not exist/is not available"
)
_REVERTED = 3

_NONCE_GOT = re.compile(r"invalid nonce; got (\d+), expected (\d+)")
_SEQUENCE = re.compile(r"sequence mismatch, expected (\d+), got (\d+)")

# First match wins, and what a contract says in its revert must not pass for the node's own words. Texts of mezod and
# the Cosmos SDK, CometBFT, geth, erigon, nethermind, besu, reth, anvil, and of hosted gateways; a test has a message for each.
WORDS: Final[tuple[tuple[type[NodeError], tuple[str, ...]], ...]] = (
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
_TABLE: Final = tuple((kind, re.compile("|".join(texts))) for kind, texts in WORDS)


def classify(code: int | None, message: str) -> type[NodeError]:
    """The kind of error behind a node's JSON-RPC `code` and `message`; `Unknown` where nothing is certain."""
    text = message.lower()
    if code in _METHOD_MISSING or _METHOD_WORDS.search(text):
        return MethodMissing
    if code == _REVERTED or "execution reverted" in text:
        return CallReverted
    for pattern, got_first in ((_NONCE_GOT, True), (_SEQUENCE, False)):
        found = pattern.search(text)
        if found:
            first, second = int(found[1]), int(found[2])
            got, expected = (first, second) if got_first else (second, first)
            return NonceTooHigh if got > expected else NonceTooLow
    for kind, pattern in _TABLE:
        if pattern.search(text):
            return kind
    # EIP-1474: -32005 is "limit exceeded"; 429 is what gateways put where a code belongs.
    by_code: dict[int | None, type[NodeError]] = {-32005: LimitExceeded, 429: RateLimited, -32029: RateLimited}
    return by_code.get(code, Unknown)
