"""Checks of the doctor that read the chain: is the token the right one, can the hot wallet pay, do the clocks agree?

Each function returns a sentence, or raises an error that `onramp.doctor.parts` turns into a finding. Where the chain or the database does
not answer, the sentence says that it is not known: a line of its own says why.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import sqlalchemy as sa

from chain.abi.erc20 import decode_string, encode_decimals, encode_symbol
from chain.abi.words import decode_uint
from chain.deployments import deployment
from chain.errors import CallReverted, ChainError
from chain.pool.pool import Pool
from chain.reads.gas import suggest_fees
from chain.reads.wallet import read_wallet
from chain.types import Address, data_bytes, quantity, to_hex
from kit.db.database import DATABASE_ERRORS
from kit.db.types import UtcDateTime, db_now
from kit.money import format_units
from onramp.bootstrap.container import Container
from onramp.ops.health import NotWellError
from onramp.treasury import policy_source
from treasury import wallet_rotation
from treasury.core.assets import GAS_DECIMALS, MUSD, MUSD_DECIMALS, NATIVE, NATIVE_AS_TOKEN
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import queries as payout_queries
from treasury.policy import service as policy_service
from treasury.policy.parser import PolicyError
from treasury.policy.states import Terms, VersionStatus
from treasury.sender import SenderConfig

APART_SECONDS: Final = 60.0
"""How many seconds this machine's clock may differ from Stripe's; at 300 s, events are refused."""
OLD_BLOCK_SECONDS: Final = 300.0
_WAITING: Final = (VersionStatus.ACTIVE, VersionStatus.PROPOSED, VersionStatus.APPROVED)


@dataclass(frozen=True, slots=True)
class _Named:
    """A token's address, where it is configured, and the symbol and decimals that its contract must return."""

    address: Address
    by: str
    decimals: int
    symbol: str | None = None


async def token(container: Container) -> str:
    """Check that the payout token is MUSD on this chain, and the same one as in the treasury's terms and in open payouts.

    Return a sentence. Raises NotWellError with every problem.
    """
    configured = container.rules.token
    known = deployment(container.rules.chain_id).musd
    problems: list[str] = []
    named = [
        _Named(
            configured, "MUSD_TOKEN_ADDRESS" if configured != known else "contracts/deployments", MUSD_DECIMALS, MUSD
        )
    ]
    if container.rules.mode == "payout":
        named += await _named_by_terms(container, problems)
        problems += await _owed_otherwise(container)
    unknown = None
    try:
        await container.pool.refresh()
        for candidate in named:
            problems += await _contract_problems(container.pool, candidate)
    except ChainError:
        unknown = "the nodes do not agree on the contract there: see the lines about nodes"
    if problems:
        raise NotWellError("; ".join(dict.fromkeys(problems)))
    text = (
        f"{configured} is MUSD on chain {container.rules.chain_id}" if unknown is None else f"{configured}; {unknown}"
    )
    if configured != known:
        text += f"; MUSD_TOKEN_ADDRESS overrides {known}, which contracts/deployments has for this chain: unset it unless that is intended"
    return text


async def _named_by_terms(container: Container, problems: list[str]) -> list[_Named]:
    """Return every token in the file, in the active terms and in waiting ones. A payout token that differs is added to `problems`."""
    found: list[tuple[str, Terms, bool]] = []
    # The line about the policy reports an invalid file.
    with suppress(PolicyError):
        found.append(("the policy file", policy_source.terms_of(container.settings, container.rules), False))
    if container.rules.hot_wallet is not None:
        scope = HotWallet(container.rules.chain_id, container.rules.hot_wallet).key
        try:
            async with container.database.read() as conn:
                versions = await policy_service.history(conn, scope)
        except DATABASE_ERRORS:
            versions = []
        found += [
            (f"{one.status} policy version {one.version}", one.terms, one.status is VersionStatus.ACTIVE)
            for one in versions
            if one.status in _WAITING
        ]
    named: list[_Named] = []
    for by, terms, is_active in found:
        if terms.token != container.rules.token:
            named.append(_Named(terms.token, by, MUSD_DECIMALS, MUSD))
            problems.append(
                f"MUSD_TOKEN_ADDRESS is {container.rules.token}, and {by} pays out {terms.token}: set MUSD_TOKEN_ADDRESS to that token,"
                f" or let two approvers {'approve the change' if is_active else 'decide about that version'} with `onramp treasury policy`"
            )
        named += [
            _Named(asset.token, f"{symbol} of {by}", asset.decimals)
            for symbol, asset in terms.policy.assets.items()
            if asset.token not in {NATIVE, NATIVE_AS_TOKEN, container.rules.token, terms.token}
        ]
    return named


async def _owed_otherwise(container: Container) -> list[str]:
    """Return a sentence for each other token in which open payouts are owed."""
    try:
        async with container.database.read() as conn:
            counts = await payout_queries.count_open_in_other_tokens(conn, container.rules.token)
    except DATABASE_ERRORS:
        return []
    return [
        f"{count} open payouts are owed in {address}, and MUSD_TOKEN_ADDRESS is {container.rules.token}: they wait until it names that token again"
        for address, count in counts.items()
    ]


async def _contract_problems(pool: Pool, token: _Named) -> list[str]:
    """Return what is wrong with the contract at this address, as agreed by enough providers. Raises ChainError if they do not agree."""
    at = hex(pool.agreed_head())
    code = (await pool.quorum("eth_getCode", [token.address, at])).value
    if code in {"0x", None}:
        return [
            f"there is no contract at {token.address}, named by {token.by}, on chain {pool.chain_id}: set the right address"
        ]
    problems = []
    result = await _call(pool, token.address, encode_decimals(), at)
    try:
        decimals: int | None = decode_uint(result)
    except ValueError:
        decimals = None
    if decimals != token.decimals:
        answer = "nothing" if decimals is None else str(decimals)
        problems.append(
            f"the contract at {token.address}, named by {token.by}, answers {answer} to decimals(), not {token.decimals}: set the right address"
        )
    if (
        token.symbol is not None
        and (symbol := decode_string(await _call(pool, token.address, encode_symbol(), at))) != token.symbol
    ):
        problems.append(
            f"the contract at {token.address}, named by {token.by}, calls itself {symbol[:20]!r}, not {token.symbol}: set the right address"
        )
    return problems


async def _call(pool: Pool, address: Address, data: bytes, at: str) -> bytes:
    """Return the agreed result of a contract call; empty if the contract rejects it."""
    try:
        return data_bytes((await pool.quorum("eth_call", [{"to": address, "data": to_hex(data)}, at])).value)
    except CallReverted:
        return b""


async def hot_wallet(container: Container) -> str:
    """Check that the hot wallet can pay: it has gas, and no operation of another wallet is open. Raises NotWellError."""
    wallet = container.rules.hot_wallet
    if container.rules.mode != "payout" or wallet is None:
        return "nothing is paid out by this service"
    problems, open_operations = [], None
    with suppress(*DATABASE_ERRORS):
        async with container.database.read() as conn:
            open_operations = await wallet_rotation.open_operations_of_others(conn, wallet)
    if open_operations:
        others = ", ".join(sorted({owner for _, owner, _ in open_operations}))
        problems.append(
            f"HOT_WALLET_ADDRESS is {wallet}, and {len(open_operations)} payouts and sweeps of {others} have not ended: the service does not"
            " start before they have; start it with that wallet until then"
        )
    try:
        state, quote = (
            await read_wallet(container.pool, wallet, container.rules.token),
            await suggest_fees(container.pool),
        )
    except ChainError:
        if problems:
            raise NotWellError("; ".join(problems)) from None
        return f"{wallet}; the nodes do not say what it holds: see the lines about them"
    gas = (
        SenderConfig(chain_id=container.rules.chain_id, wallet=wallet, token=container.rules.token).gas_limit
        * quote.max_fee
    )
    balances = f"{wallet} holds {format_units(state.balance_token, MUSD_DECIMALS)} MUSD and {format_units(state.balance_native, GAS_DECIMALS)} BTC"
    if state.balance_token and state.balance_native < gas:
        problems.append(
            f"{balances}, and one payout may take {format_units(gas, GAS_DECIMALS)} BTC for gas: send BTC to it, or no buyer is paid"
        )
    if problems:
        raise NotWellError("; ".join(problems))
    if not state.balance_token:
        return f"{balances}: nothing can be sold before it is funded, as `onramp treasury balances` says"
    return balances


async def clock(container: Container) -> str:
    """Check that this machine's clock agrees with the database's and Stripe's, and report the age of the newest block. Raises NotWellError."""
    problems: list[str] = []
    sentences = []
    for whose, theirs in (
        ("the database's", await _database_time(container)),
        ("Stripe's", await _stripe_time(container)),
    ):
        if theirs is None:
            continue
        apart = (container.clock.now() - theirs).total_seconds()
        if abs(apart) > APART_SECONDS:
            side = "ahead of" if apart > 0 else "behind"
            problems.append(
                f"this machine's clock is {abs(apart):.0f} s {side} {whose}: set it, or every event of Stripe's is refused"
            )
        else:
            sentences.append(f"agrees with {whose}")
    if problems:
        raise NotWellError("; ".join(problems))
    block = await _block_time(container)
    if block is not None:
        age = (container.clock.now() - block).total_seconds()
        sentences.append(
            f"the newest block is {age:.0f} s old"
            + (": is the chain, or are the nodes, standing still?" if age > OLD_BLOCK_SECONDS else "")
        )
    return "; ".join(sentences) or "there is nothing to compare it with"


async def _database_time(container: Container) -> datetime | None:
    try:
        async with container.database.read() as conn:
            now = (await conn.execute(sa.select(sa.type_coerce(db_now(), UtcDateTime())))).scalar_one()
    except DATABASE_ERRORS:
        return None
    return now if isinstance(now, datetime) else None


async def _stripe_time(container: Container) -> datetime | None:
    """Return the `Date` header of Stripe's response to a request without a key, to the second."""
    limit = aiohttp.ClientTimeout(total=5)
    try:
        async with container.http.get(
            container.settings.STRIPE_API_BASE, timeout=limit, allow_redirects=False
        ) as answer:
            return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


async def _block_time(container: Container) -> datetime | None:
    def timestamp(block: Any) -> int:
        return quantity(block["timestamp"])

    try:
        await container.pool.refresh()
        agreed = await container.pool.quorum(
            "eth_getBlockByNumber", [hex(container.pool.agreed_head()), False], key=timestamp
        )
    except ChainError:
        return None
    return datetime.fromtimestamp(timestamp(agreed.value), UTC)
