"""Decide whether the contract at the pinned address is the pinned Safe. Pure: (state on chain, pin) -> verdict.

Owners and a threshold are what a contract *claims*. In February 2025 Bybit's Safe had the right ones when its singleton
was swapped by a delegatecall, and a counterfeit can return any threshold. Only the proxy's code and the singleton it runs
prove that the values are the Safe's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from chain.deployments import Deployment
from chain.reads.safe import SafeState
from chain.types import ZERO_ADDRESS, Address, keccak, to_checksum


@dataclass(frozen=True, slots=True)
class ColdPin:
    """The identity that the Safe must have, as configured. `guard` None: the Safe must have no guard."""

    chain_id: int
    address: Address
    owners: tuple[Address, ...]
    threshold: int
    guard: Address | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The Safe is the pinned one at `block_number`. `identity` changes with anything that decides who can spend."""

    block_number: int
    identity: str
    version: str


@dataclass(frozen=True, slots=True)
class Unverified:
    """The Safe is not the pinned one, or could not be read (`block_number` None). Each reason is a sentence for people."""

    reasons: tuple[str, ...]
    block_number: int | None = None

    @property
    def detail(self) -> str:
        """The reasons as one line of text."""
        return " ".join(self.reasons)


def judge(
    state: SafeState, pin: ColdPin, deployment: Deployment, *, forbidden_owners: Sequence[Address] = ()
) -> Verified | Unverified:
    """Compare the Safe's state on chain with the pin. No address in `forbidden_owners` may be an owner: the hot wallet's own is one of them."""
    if state.code_hash is None:
        return Unverified((f"There is no contract at {pin.address}.",), state.block_number)
    reasons: list[str] = []
    canonical = {
        singleton: safe for safe in deployment.safes.values() if safe.registered for singleton in safe.singletons
    }
    safe = canonical.get(state.singleton or ZERO_ADDRESS)
    if safe is None or not state.singleton_has_code:
        versions = ", ".join(version for version, release in deployment.safes.items() if release.registered)
        reasons.append(f"Its singleton {state.singleton} is not Safe {versions} of {deployment.name}.")
    hashes = {release.proxy_code_hash for release in deployment.safes.values() if release.registered}
    if state.code_hash not in ({safe.proxy_code_hash} if safe is not None else hashes):
        reasons.append(f"Its code {state.code_hash} is not that of a Safe proxy.")
    if state.owners is None or len(set(state.owners)) != len(state.owners) or set(state.owners) != set(pin.owners):
        reasons.append(f"Its owners are {_listed(state.owners)}, not {_listed(pin.owners)}.")
    if set(state.owners or ()) & {to_checksum(address) for address in forbidden_owners}:
        reasons.append("The hot wallet is one of its owners.")
    if state.threshold != pin.threshold:
        reasons.append(f"Its threshold is {state.threshold}, not {pin.threshold}.")
    if state.modules is None or state.modules:
        reasons.append(f"It has modules, which spend without its owners: {_listed(state.modules)}.")
    if state.guard != pin.guard:
        reasons.append(f"Its guard is {state.guard or 'none'}, not {pin.guard or 'none'}.")
    handlers = set(safe.fallback_handlers) if safe is not None else set()
    if state.fallback_handler is not None and state.fallback_handler not in handlers:
        reasons.append(f"Its fallback handler {state.fallback_handler} is not the canonical one.")
    if reasons or safe is None:
        return Unverified(tuple(reasons), state.block_number)
    return Verified(state.block_number, identity_of(state, pin.chain_id), safe.version)


def identity_of(state: SafeState, chain_id: int) -> str:
    """Return a digest (0x and 64 hex digits) of everything that decides who can spend. The order of the owners does not count."""
    parts = [
        chain_id,
        state.address,
        state.code_hash,
        state.singleton,
        sorted(state.owners or ()),
        state.threshold,
        sorted(state.modules or ()),
        state.guard,
        state.fallback_handler,
    ]
    return "0x" + keccak(orjson.dumps(parts)).hex()


def _listed(addresses: Sequence[Address] | None) -> str:
    return "unknown" if addresses is None else ", ".join(sorted(addresses)) or "none"
