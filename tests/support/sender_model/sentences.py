"""A history as sentences for the person who operates the treasury."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.support.sender_model.engine import Label
from tests.support.sender_model.state import NOTHING, STRANGER, Bytes, Phase, Wait, is_batch, paid_by

_WAITS = {
    Wait.OBJECTION: "a check objects for now",
    Wait.SCREENING: "its recipient is on the sanctions list",
    Wait.REFERENCE_SPENT: "a transfer with its reference exists already",
    Wait.NOT_PROVED_DEAD: "an earlier signature for it may still be mined",
    Wait.APPROVAL: "a person has to approve it",
}
_PHASES = {
    Phase.ALLOCATED: "after it allocated nonces and before it stored signed bytes",
    Phase.STORED: "after it stored signed bytes and before it broadcast them",
    Phase.SENT: "after it broadcast bytes and before it recorded that",
}
_FIXED = {
    "lead": "A process becomes the leader.",
    "lose_lease": "A process finds that another one leads now, and stops its step.",
    "signer_down": "The signer does not answer. Nothing is stored.",
    "forget": "The nodes that the service asks forget every waiting transaction.",
    "ask_nodes": "The new leader asks the nodes; none counts more transactions than the database knows.",
    "end_restore": "As many nonces as the pipeline is deep are spent by empty transfers. Payments go on.",
    "back_up": "The database is backed up (or a replica stands at this point).",
    "pause": "A person pauses payouts.",
    "resume": "A person lets payouts go on.",
}
_ABOUT_ONE = {
    "owe": "{who} is owed, and stored in the database.",
    "raise_fee": "No node knows {who} at nonce {nonce} any more, and fees rose: the leader signs it for a higher fee.",
    "broadcast_again": "The leader broadcasts {who} at nonce {nonce} again.",
    "prove": "The leader proves {who} at nonce {nonce}: it is final.",
    "see_failure": "The leader proves that {who} at nonce {nonce} failed.",
    "notice_reorg": "The leader sees that the block with {who} at nonce {nonce} was replaced.",
    "release": "Nonce {nonce} of {who} has no signed bytes; the leader releases it.",
    "detach": "Nonce {nonce} of {who} has no signed bytes and others above it; {who} queues again.",
    "adopt": "The leader finds {who} on the chain at nonce {nonce} and records it as ours.",
    "queue_again": "{who} queues again: every earlier signature for it is dead.",
    "ask_approval": "{who} is above a limit: a person has to approve it.",
    "propose": "A person proposes {who}; another person has to approve it.",
    "approve": "A person approves {who}.",
    "clear": "A person lets {who} through although its recipient is on the sanctions list.",
    "delist": "The recipient of {who} is no longer on the sanctions list.",
    "reject": "A person rejects {who}.",
    "retry": "Two persons want {who} to be tried again.",
    "lapse": "The approval of {who} lapses.",
    "close": "A person records that the buyer of {who} was paid in another way.",
    "settle": "A person records another transfer, which the chain has proved, as the payment of {who}.",
}
_ABOUT_NONCE = {
    "spend": "The leader signs an empty transfer for nonce {nonce}.",
    "stranger": "Someone else uses the wallet's key at nonce {nonce}.",
    "reorg": "The newest block, with nonce {nonce}, is replaced by one without the wallet's transaction.",
    "resolve": "Two persons explain the unmatched transaction at nonce {nonce}.",
}
_ABOUT_BYTES = {
    "store": "The leader signs and stores {what}.",
    "broadcast": "The leader broadcasts {what}.",
    "lose_broadcast": "The leader broadcasts {what}, and no node gets it.",
    "record": "The leader records that nodes have {what}.",
    "mine": "A block includes {what}.",
    "mine_failed": "A block includes {what}, which fails.",
    "repeat": "Another node, which still has it, repeats {what}.",
}


def name(operation: int) -> str:
    """Return what people call an operation: A is the oldest."""
    fixed = {NOTHING: "an empty transfer", STRANGER: "someone else's transaction"}
    if operation in fixed:
        return fixed[operation]
    letters = [chr(ord("A") + index) for index in paid_by(operation)]
    if is_batch(operation):
        return f"the batch of {' and '.join(letters)}"
    return f"payment {letters[0]}"


def sentence(label: Label) -> str:
    """Return one step as a sentence."""
    kind, *rest = label
    arguments: Sequence[Any] = rest
    text = str(kind)
    if text in _FIXED:
        return _FIXED[text]
    if text in _ABOUT_ONE:
        nonce, who = arguments if len(arguments) == 2 and text not in _PAIRS else (None, arguments[0])
        return _capital(_ABOUT_ONE[text].format(who=name(who), nonce=nonce))
    if text in _ABOUT_NONCE:
        return _ABOUT_NONCE[text].format(nonce=arguments[0])
    if text in _ABOUT_BYTES:
        bytes_ = arguments[0]
        return _ABOUT_BYTES[text].format(what=_bytes([bytes_] if isinstance(bytes_, Bytes) else bytes_))
    return _special(text, arguments)


_PAIRS = {"ask_approval"}


def _special(text: str, arguments: Sequence[Any]) -> str:
    match text:
        case "allocate":
            nonce, operations = arguments
            names = " and ".join(name(operation) for operation in operations)
            return f"The leader allocates nonce {_range(nonce, len(operations))} to {names}."
        case "allocate_nothing":
            nonce, size = arguments
            return f"The leader allocates nonce {_range(nonce, size)} to empty transfers."
        case "declare":
            why = {"lost": "it has stored a nonce that the database no longer holds", "unknown": "a node counts more than the database knows"}  # fmt: skip
            return f"The leader declares a restore: {why[arguments[0]]}."
        case "notice":
            nonce, operation = arguments
            return f"The leader finds {name(operation)} on the chain at nonce {nonce}, which no row explains. Nothing is signed."
        case "hold":
            return f"{_capital(name(arguments[0]))} is held: {_WAITS[arguments[1]]}."
        case "crash":
            return f"The leader's process dies {_PHASES[arguments[0]]}."
        case "refused":
            return "The row changed meanwhile: nothing is stored."
        case "mine_refused":
            bytes_, refused = arguments
            return f"A block includes {_bytes([bytes_])}; the token refuses {name(refused)}."
        case "restore":
            return f"All processes stop, and a backup is restored. {_contents(arguments[0])}"
        case "failover":
            return f"A replica takes over that lost the last writes, and no one says so. {_contents(arguments[0])}"
    raise ValueError(f"no sentence for {text}")


def _contents(operations: Sequence[object]) -> str:
    known = [name(index) for index, operation in enumerate(operations) if operation is not None]
    return f"It knows {' and '.join(known)}." if known else "It knows no payment."


def _bytes(entries: Iterable[Bytes]) -> str:
    return " and ".join(f"{name(entry.operation)} at nonce {entry.nonce}" for entry in entries)


def _range(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first} to {first + count - 1}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def report(invariant: str, history: Sequence[Label]) -> str:
    """Return a counterexample as numbered sentences under the invariant that it breaks."""
    lines = [f"{number:3}. {sentence(label)}" for number, label in enumerate(history, start=1)]
    return "\n".join([f"Broken: {invariant}. The shortest history:", *lines])
