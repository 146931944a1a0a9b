"""A second, coarser model: several hot wallets, and two deployments with databases of their own on one Stripe account.

PayOnce pays a reference once for each payer, so what protects a purchase from a second payment by another wallet are rules of the service.
One wallet is as the finer model has shown it: it pays a reference at most once, learns what it has paid before it signs, and spends its
nonces after a declared restore. Whether a session may be rebuilt is decided by the code itself (`onramp.sessions.ownership.sale_of`).

Deployment 0 sells and may rotate between the wallets 0 and 1; deployment 1 pays from wallet 2.
"""

from collections import deque
from collections.abc import Iterator, Mapping
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
    RESTORE_FIRST = auto()
    """Operators do not rotate the wallet before the nonces that old bytes may use are spent (docs/runbook.md)."""


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
    is_restored: bool = False
    """A restore is open: nothing is paid until nonces are spent."""


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
    "restore": "The seller's backup is restored, and persons say so.",
    "spend_nonces": "The restored wallet's nonces are spent.",
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


def explore(purchases: int, rules: frozenset[Rule]) -> tuple[int, list[str]]:
    """Visit every state, the nearest first. Return how many there are, and the shortest history that breaks a rule; empty if none does.

    A history breaks a rule if it ends in a second payment, or in a state from which a purchase can neither be paid nor be left to persons.
    """
    start = initial(purchases)
    parents: dict[Everything, tuple[Everything, Label] | None] = {start: None}
    before: dict[Everything, list[Everything]] = {start: []}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for label, after in steps(state, rules):
            before.setdefault(after, []).append(state)
            if after in parents:
                continue
            parents[after] = (state, label)
            if pays_twice(after):
                return len(parents), _history(parents, after)
            queue.append(after)
    alive = {state for state in parents if is_over(state)}
    fresh = list(alive)
    while fresh:
        new = set(before[fresh.pop()]) - alive
        alive |= new
        fresh += new
    dead = next((state for state in parents if state not in alive), None)
    return len(parents), [] if dead is None else _history(parents, dead)


def _history(parents: Mapping[Everything, tuple[Everything, Label] | None], state: Everything) -> list[str]:
    sentences = []
    while (parent := parents[state]) is not None:
        state, label = parent
        sentences.append(sentence(label))
    return sentences[::-1]


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
    unfinished = [
        session
        for session in rows.sessions
        if session and session.state in {State.OWED, State.SIGNED} and session.wallet != other
    ]
    if not unfinished and not (rows.is_restored and Rule.RESTORE_FIRST in rules):
        after = state._replace(wallet=other, used=state.used | {other})
        yield ("rotate", other), _with(after, SELLER, _recorded(state, rows, {other}))
    if state.restores and state.backup is None:
        yield ("back_up",), state._replace(backup=rows)
    if state.restores and state.backup is not None and state.backup != rows:
        back = state.backup._replace(is_restored=True)
        learned = state.used if Rule.WALLETS_ARE_LEARNED in rules else frozenset({state.wallet})
        after = state._replace(backup=None, restores=0)
        yield ("restore",), _with(after, SELLER, _recorded(state, back, set(learned)))
    if rows.is_restored:
        # What the database does not know and the chain has not mined can no longer be mined.
        known = {
            (session.wallet, purchase)
            for purchase, session in enumerate(rows.sessions)
            if session and session.state is State.SIGNED
        }
        flight = frozenset(pair for pair in state.flight if pair[0] != state.wallet or pair in known)
        yield ("spend_nonces",), _with(state._replace(flight=flight), SELLER, rows._replace(is_restored=False))


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
        found = _searched(state, rows, session, purchase, wallet)
        if found is not None:
            yield ("search", *label), _put(state, deployment, purchase, found)
    elif session.state is State.SIGNED and (session.wallet, purchase) in state.paid:
        yield ("prove", *label), _put(state, deployment, purchase, session._replace(state=State.FINAL))
    elif session.state is State.SIGNED and (session.wallet, purchase) not in state.flight:
        yield ("queue_again", *label), _put(state, deployment, purchase, session._replace(state=State.OWED))
    elif session.state is State.OWED and session.wallet == wallet and not rows.is_restored:
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
    session = Session(State.OWED, wallet)
    if Rule.SEARCH in rules and (sold_for != wallet or others):
        session = Session(State.REBUILT if is_rebuilt else State.SEARCHING, sold_for)
    return _put(_with(state, deployment, rows), deployment, purchase, session)


def _searched(state: Everything, rows: Rows, session: Session, purchase: int, wallet: int) -> Session | None:
    """Return what a search decides; None if it is postponed."""
    candidates = ({session.wallet} | {entry.wallet for entry in rows.wallets}) - {wallet}
    for candidate in sorted(candidates):
        if (candidate, purchase) in state.paid:
            return Session(State.FINAL, candidate)
    unknown = {payer for payer, paid in state.paid if not _is_explained(rows, payer, paid)}
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
