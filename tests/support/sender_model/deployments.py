"""A second, coarser model: several hot wallets, and two deployments with databases of their own on one Stripe account.

PayOnce pays a reference once for each payer, so what protects a purchase from a second payment by another wallet are rules of the service.
One wallet is as the finer model has shown it: it pays a reference at most once, learns what it has paid before it signs, and spends its
nonces after a declared restore. Whether a session may be rebuilt is decided by the code itself (`onramp.sessions.ownership.sale_of`).

Deployment 0 sells and may rotate between the wallets 0 and 1; deployment 1 pays from wallet 2.
"""

from collections.abc import Iterator
from enum import StrEnum, auto
from typing import NamedTuple

from tests.support.sender_model.stripe_metadata import is_sold_by

SELLER, OTHER = 0, 1
_WALLET_OF_OTHER = 2
Pair = tuple[int, int]
"""A hot wallet, and the purchase that it pays."""
Label = tuple[object, ...]


class Rule(StrEnum):
    """A rule that keeps a second wallet from paying."""

    OWNERSHIP = auto()
    """Only the deployment that Stripe's metadata name rebuilds a session."""
    SEARCH = auto()
    """A session that another wallet may have paid is searched for first, and a rebuilt one is left to persons if nothing is found."""
    PAID_IS_ASKED = auto()
    """PayOnce is asked about this and all recorded wallets before a nonce exists."""
    WALLETS_ARE_LEARNED = auto()
    """A restored database learns of each wallet that has paid since."""
    UNSPENT_IS_UNKNOWN = auto()
    """Until a restored wallet's nonces are spent, no search concludes that it has not paid."""
    ALL_ARE_DECLARED = auto()
    """A restore is declared for each recorded wallet, not for the configured one alone: any of them may have signed since the backup."""


class State(StrEnum):
    """A session in a database."""

    WAITING = auto()
    """Its payment at Stripe is not known here yet."""
    SEARCHING = auto()
    """An earlier wallet may have paid it."""
    REBUILT = auto()
    """The same, for a session that this database had lost."""
    OWED = auto()
    SIGNED = auto()
    FINAL = auto()
    ATTENTION = auto()
    """Persons decide. Nothing is paid."""


class Session(NamedTuple):
    """`wallet`: the one that its payout names, or that it was sold for as long as it has none."""

    state: State
    wallet: int


class Recorded(NamedTuple):
    """A wallet on record, with the purchases that were sold before it was recorded."""

    wallet: int
    sold_before: frozenset[int]


class Rows(NamedTuple):
    """One deployment's database."""

    sessions: tuple[Session | None, ...]
    wallets: frozenset[Recorded]
    unspent: frozenset[int] = frozenset()
    """Wallets with an open restore: they pay nothing until their nonces are spent."""
    sold_before_restore: frozenset[int] = frozenset()


class Everything(NamedTuple):
    """`sold`: by purchase, the wallet in Stripe's metadata; `flight`: signed and not mined; `paid`: the contract's record."""

    sold: tuple[int | None, ...]
    completed: frozenset[int]
    databases: tuple[Rows, Rows]
    wallet: int = 0
    flight: frozenset[Pair] = frozenset()
    paid: frozenset[Pair] = frozenset()
    backup: Rows | None = None
    used: frozenset[int] = frozenset({0})
    restores: int = 1


_SENTENCES = {
    "sell": "Purchase {0} is sold for wallet {1}.",
    "complete": "Purchase {0} is paid at Stripe.",
    "mine": "A block includes the payment of purchase {1} by wallet {0}.",
    "rotate": "Operators rotate to wallet {0}.",
    "back_up": "The seller's database is backed up.",
    "restore": "The seller's backup is restored with wallet {0} configured, and persons say so.",
    "spend_nonces": "The nonces of wallet {0} are spent.",
    "learn": "Deployment {0} learns that purchase {1} is paid at Stripe.",
    "search": "Deployment {0} decides whether another wallet has paid purchase {1}.",
    "sign": "Deployment {0} signs the payment of purchase {1}.",
    "prove": "Deployment {0} proves its payment of purchase {1}.",
    "adopt": "Deployment {0} finds its own payment of purchase {1} on the chain.",
    "hold": "PayOnce says that a recorded wallet has paid purchase {1}; deployment {0} leaves it to persons.",
    "queue_again": "Deployment {0} owes purchase {1} again.",
}


def sentence(label: Label) -> str:
    """Return a step in words."""
    return _SENTENCES[str(label[0])].format(*label[1:])


def initial(purchases: int) -> Everything:
    """Return the state before the first sale."""
    none = (None,) * purchases
    databases = [Rows(none, frozenset({Recorded(wallet, frozenset())})) for wallet in (0, _WALLET_OF_OTHER)]
    return Everything(none, frozenset(), (databases[0], databases[1]))


def pays_twice(state: Everything) -> bool:
    """Return whether two wallets have paid one purchase."""
    purchases = [purchase for _, purchase in state.paid]
    return len(purchases) != len(set(purchases))


def is_over(state: Everything) -> bool:
    """Return whether every purchase is paid or left to persons in its seller's database."""
    ends = {State.FINAL, State.ATTENTION}
    return all(session is not None and session.state in ends for session in state.databases[SELLER].sessions)


def steps(state: Everything, rules: frozenset[Rule]) -> Iterator[tuple[Label, Everything]]:
    """Yield what may happen next."""
    yield from _outside(state)
    yield from _operators(state, rules)
    for deployment in (SELLER, OTHER):
        for purchase in range(len(state.sold)):
            yield from _session(state, rules, deployment, purchase)


def _outside(state: Everything) -> Iterator[tuple[Label, Everything]]:
    for purchase, wallet in enumerate(state.sold):
        if wallet is None and None not in state.sold[:purchase]:
            sold = (*state.sold[:purchase], state.wallet, *state.sold[purchase + 1 :])
            after = _put(state._replace(sold=sold), SELLER, purchase, Session(State.WAITING, state.wallet))
            yield ("sell", purchase, state.wallet), after
        elif wallet is not None and purchase not in state.completed:
            yield ("complete", purchase), state._replace(completed=state.completed | {purchase})
    for pair in state.flight:
        yield ("mine", *pair), state._replace(flight=state.flight - {pair}, paid=state.paid | {pair})


def _operators(state: Everything, rules: frozenset[Rule]) -> Iterator[tuple[Label, Everything]]:
    rows = state.databases[SELLER]
    other = 1 - state.wallet
    if _can_start(rows, other):
        after = state._replace(wallet=other, used=state.used | {other})
        yield ("rotate", other), _with(after, SELLER, _recorded(state, rows, {other}))
    if state.restores and state.backup is None:
        yield ("back_up",), state._replace(backup=rows)
    if state.restores and state.backup is not None and state.backup != rows:
        yield from _restores(state, state.backup, rules)
    if state.wallet in rows.unspent:
        # What the database does not know and the chain has not mined can no longer be mined.
        known = {
            (session.wallet, purchase)
            for purchase, session in enumerate(rows.sessions)
            if session and session.state is State.SIGNED
        }
        flight = frozenset(pair for pair in state.flight if pair[0] != state.wallet or pair in known)
        spent = rows._replace(unspent=rows.unspent - {state.wallet})
        yield ("spend_nonces", state.wallet), _with(state._replace(flight=flight), SELLER, spent)


def _can_start(rows: Rows, wallet: int) -> bool:
    """Return whether the service starts with this wallet: no payout of another one is open."""
    unfinished = {State.OWED, State.SIGNED}
    return not any(session and session.state in unfinished and session.wallet != wallet for session in rows.sessions)


def _restores(state: Everything, backup: Rows, rules: frozenset[Rule]) -> Iterator[tuple[Label, Everything]]:
    """Yield the restores of a backup: persons may configure another wallet in the same moment."""
    learned = set(state.used) if Rule.WALLETS_ARE_LEARNED in rules else set()
    recorded = {entry.wallet for entry in backup.wallets}
    for wallet in (state.wallet, 1 - state.wallet):
        if not _can_start(backup, wallet):
            continue
        unspent = {wallet}
        if Rule.ALL_ARE_DECLARED in rules:
            unspent |= recorded | learned
        after = state._replace(backup=None, restores=0, wallet=wallet, used=state.used | {wallet})
        sold = frozenset(purchase for purchase, seller in enumerate(state.sold) if seller is not None)
        restored = backup._replace(unspent=frozenset(unspent), sold_before_restore=sold)
        rows = _recorded(state, restored, {wallet} | learned)
        yield ("restore", wallet), _with(after, SELLER, rows)


def _recorded(state: Everything, rows: Rows, wallets: set[int]) -> Rows:
    new = wallets - {entry.wallet for entry in rows.wallets}
    sold = frozenset(purchase for purchase, wallet in enumerate(state.sold) if wallet is not None)
    return rows._replace(wallets=rows.wallets | {Recorded(wallet, sold) for wallet in new})


def _session(
    state: Everything, rules: frozenset[Rule], deployment: int, purchase: int
) -> Iterator[tuple[Label, Everything]]:
    rows, wallet = state.databases[deployment], state.wallet if deployment == SELLER else _WALLET_OF_OTHER
    session, sold_for = rows.sessions[purchase], state.sold[purchase]
    label = (deployment, purchase)
    if sold_for is None:
        return
    if session is None or session.state is State.WAITING:
        if purchase in state.completed and (session or is_sold_by(deployment, sold_for, Rule.OWNERSHIP in rules)):
            yield ("learn", *label), _learned(state, rules, deployment, purchase, wallet)
    elif session.state in {State.SEARCHING, State.REBUILT}:
        found = _searched(state, rules, rows, session, purchase, wallet)
        if found is not None:
            yield ("search", *label), _put(state, deployment, purchase, found)
    elif session.state is State.SIGNED and (session.wallet, purchase) in state.paid:
        yield ("prove", *label), _put(state, deployment, purchase, session._replace(state=State.FINAL))
    elif session.state is State.SIGNED and (session.wallet, purchase) not in state.flight:
        yield ("queue_again", *label), _put(state, deployment, purchase, session._replace(state=State.OWED))
    elif session.state is State.OWED and session.wallet == wallet and wallet not in rows.unspent:
        if (wallet, purchase) in state.paid:
            yield ("adopt", *label), _put(state, deployment, purchase, session._replace(state=State.FINAL))
        elif Rule.PAID_IS_ASKED in rules and any((entry.wallet, purchase) in state.paid for entry in rows.wallets):
            yield ("hold", *label), _put(state, deployment, purchase, session._replace(state=State.ATTENTION))
        else:
            signed = _put(state, deployment, purchase, session._replace(state=State.SIGNED))
            yield ("sign", *label), signed._replace(flight=state.flight | {(wallet, purchase)})


def _learned(state: Everything, rules: frozenset[Rule], deployment: int, purchase: int, wallet: int) -> Everything:
    """Apply a completed session: owe it, or search first if a wallet other than the current one may have paid it."""
    rows, sold_for = state.databases[deployment], state.sold[purchase]
    assert sold_for is not None
    is_rebuilt = rows.sessions[purchase] is None
    if is_rebuilt:
        rows = _recorded(state, rows, {sold_for})
    others = {entry.wallet for entry in rows.wallets if purchase in entry.sold_before} - {sold_for}
    if Rule.UNSPENT_IS_UNKNOWN in rules and purchase in rows.sold_before_restore:
        others |= rows.unspent - {wallet}
    session = Session(State.OWED, wallet)
    if Rule.SEARCH in rules and (sold_for != wallet or others):
        session = Session(State.REBUILT if is_rebuilt else State.SEARCHING, sold_for)
    return _put(_with(state, deployment, rows), deployment, purchase, session)


def _searched(
    state: Everything, rules: frozenset[Rule], rows: Rows, session: Session, purchase: int, wallet: int
) -> Session | None:
    """Return what a search decides; None if it is postponed."""
    candidates = ({session.wallet} | {entry.wallet for entry in rows.wallets}) - {wallet}
    for candidate in sorted(candidates):
        if (candidate, purchase) in state.paid:
            return Session(State.FINAL, candidate)
    unknown = {payer for payer, paid in state.paid if not _is_explained(rows, payer, paid)}
    if Rule.UNSPENT_IS_UNKNOWN in rules:
        unknown |= rows.unspent
    if wallet in unknown and (wallet, purchase) not in state.paid:
        return None
    if (wallet, purchase) in state.paid:
        return Session(State.OWED, wallet)
    if session.state is State.REBUILT or candidates & unknown:
        return Session(State.ATTENTION, session.wallet)
    return Session(State.OWED, wallet)


def _is_explained(rows: Rows, payer: int, purchase: int) -> bool:
    session = rows.sessions[purchase]
    return session is not None and session.wallet == payer and session.state in {State.SIGNED, State.FINAL}


def _put(state: Everything, deployment: int, purchase: int, session: Session) -> Everything:
    rows = state.databases[deployment]
    sessions = (*rows.sessions[:purchase], session, *rows.sessions[purchase + 1 :])
    return _with(state, deployment, rows._replace(sessions=sessions))


def _with(state: Everything, deployment: int, rows: Rows) -> Everything:
    first, second = state.databases
    return state._replace(databases=(rows, second) if deployment == SELLER else (first, rows))
