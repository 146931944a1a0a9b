"""What the doctor asks the chain: is the token the right one, can the hot wallet pay, and do the clocks agree?

Each function returns a sentence, or raises what `onramp.doctor.parts` makes a finding of. Where the chain or the database does not answer,
the sentence says that it is not known: a line of its own says why.
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
from chain.reads.wallet import read_wallet, suggest_fees
from chain.types import Address, data_bytes, quantity, to_hex
from kit.db.database import DATABASE_ERRORS
from kit.db.types import UtcDateTime, db_now
from kit.money import format_units
from onramp.bootstrap.container import Container
from onramp.ops.health import NotWellError
from onramp.treasury import policy_source
from treasury import rotation
from treasury.core.assets import GAS_DECIMALS, MUSD, MUSD_DECIMALS, NATIVE, NATIVE_AS_TOKEN
from treasury.core.hot_wallets import HotWallet
from treasury.payouts import queries as payout_queries
from treasury.policy import service as policy_service
from treasury.policy.parser import PolicyError
from treasury.policy.states import Terms, VersionStatus
from treasury.sender import SenderConfig

APART_SECONDS: Final = 60.0
"""How far this machine's clock may be from Stripe's: events are refused where it is 300 s off."""
OLD_BLOCK_SECONDS: Final = 300.0
_WAITING: Final = (VersionStatus.ACTIVE, VersionStatus.PROPOSED, VersionStatus.APPROVED)


@dataclass(frozen=True, slots=True)
class _Named:
    """A token's address, who names it, and what the contract there must answer."""

    address: Address
    by: str
    decimals: int
    symbol: str | None = None


async def token(container: Container) -> str:
    """The token that is paid out is MUSD, on this chain, and the one that the treasury's terms and the open payouts name.

    Raises NotWellError with every objection.
    """
    configured = container.rules.token
    known = deployment(container.rules.chain_id).musd
    wrong: list[str] = []
    named = [
        _Named(
            configured, "MUSD_TOKEN_ADDRESS" if configured != known else "contracts/deployments", MUSD_DECIMALS, MUSD
        )
    ]
    if container.rules.mode == "payout":
        named += await _named_by_terms(container, wrong)
        wrong += await _owed_otherwise(container)
    unknown = None
    try:
        await container.pool.refresh()
        for one in named:
            wrong += await _look_at(container.pool, one)
    except ChainError:
        unknown = "the nodes do not say what stands there: see the lines about them"
    if wrong:
        raise NotWellError("; ".join(dict.fromkeys(wrong)))
    told = (
        f"{configured} is MUSD on chain {container.rules.chain_id}" if unknown is None else f"{configured}; {unknown}"
    )
    if configured != known:
        told += f"; MUSD_TOKEN_ADDRESS overrides {known}, which contracts/deployments has for this chain: unset it unless that is meant"
    return told


async def _named_by_terms(container: Container, wrong: list[str]) -> list[_Named]:
    """Every token in the file, in the active terms and in those that wait; a payout token that differs goes to `wrong`."""
    found: list[tuple[str, Terms, bool]] = []
    # The line about the policy says what is wrong with a file that cannot be used.
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
            wrong.append(
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
    """A sentence for each other token that payouts are owed in and not paid yet."""
    try:
        async with container.database.read() as conn:
            counts = await payout_queries.count_open_in_other_tokens(conn, container.rules.token)
    except DATABASE_ERRORS:
        return []
    return [
        f"{count} open payouts are owed in {address}, and MUSD_TOKEN_ADDRESS is {container.rules.token}: they wait until it names that token again"
        for address, count in counts.items()
    ]


async def _look_at(pool: Pool, one: _Named) -> list[str]:
    """What enough operators object to in the contract at this address. Raises ChainError where they do not agree."""
    at = hex(pool.agreed_head())
    code = (await pool.quorum("eth_getCode", [one.address, at])).value
    if code in {"0x", None}:
        return [
            f"there is no contract at {one.address}, named by {one.by}, on chain {pool.chain_id}: set the right address"
        ]
    wrong = []
    said = await _ask(pool, one.address, encode_decimals(), at)
    try:
        decimals: int | None = decode_uint(said)
    except ValueError:
        decimals = None
    if decimals != one.decimals:
        shown = "nothing" if decimals is None else str(decimals)
        wrong.append(
            f"the contract at {one.address}, named by {one.by}, answers {shown} to decimals(), not {one.decimals}: set the right address"
        )
    if (
        one.symbol is not None
        and (symbol := decode_string(await _ask(pool, one.address, encode_symbol(), at))) != one.symbol
    ):
        wrong.append(
            f"the contract at {one.address}, named by {one.by}, calls itself {symbol[:20]!r}, not {one.symbol}: set the right address"
        )
    return wrong


async def _ask(pool: Pool, address: Address, data: bytes, at: str) -> bytes:
    """What a contract returns, as agreed; nothing where it refuses the call."""
    try:
        return data_bytes((await pool.quorum("eth_call", [{"to": address, "data": to_hex(data)}, at])).value)
    except CallReverted:
        return b""


async def hot_wallet(container: Container) -> str:
    """The wallet can pay: it has gas for what it sells, and nothing is left open at another wallet. Raises NotWellError."""
    wallet = container.rules.hot_wallet
    if container.rules.mode != "payout" or wallet is None:
        return "nothing is paid out by this service"
    wrong, left = [], None
    with suppress(*DATABASE_ERRORS):
        async with container.database.read() as conn:
            left = await rotation.open_operations_of_others(conn, wallet)
    if left:
        others = ", ".join(sorted({owner for _, owner, _ in left}))
        wrong.append(
            f"HOT_WALLET_ADDRESS is {wallet}, and {len(left)} payouts and sweeps of {others} have not ended: the service does not"
            " start before they have; start it with that wallet until then"
        )
    try:
        state, quote = (
            await read_wallet(container.pool, wallet, container.rules.token),
            await suggest_fees(container.pool),
        )
    except ChainError:
        if wrong:
            raise NotWellError("; ".join(wrong)) from None
        return f"{wallet}; the nodes do not say what it holds: see the lines about them"
    gas = (
        SenderConfig(chain_id=container.rules.chain_id, wallet=wallet, token=container.rules.token).gas_limit
        * quote.max_fee
    )
    held = f"{wallet} holds {format_units(state.balance_token, MUSD_DECIMALS)} MUSD and {format_units(state.balance_native, GAS_DECIMALS)} BTC"
    if state.balance_token and state.balance_native < gas:
        wrong.append(
            f"{held}, and one payout may take {format_units(gas, GAS_DECIMALS)} BTC for gas: send BTC to it, or nobody is paid"
        )
    if wrong:
        raise NotWellError("; ".join(wrong))
    if not state.balance_token:
        return f"{held}: nothing can be sold before it is funded, as `onramp treasury balances` says"
    return held


async def clock(container: Container) -> str:
    """This machine's clock agrees with the database's and with Stripe's; how old the newest block is. Raises NotWellError."""
    wrong, told = [], []
    for whose, theirs in (
        ("the database's", await _database_time(container)),
        ("Stripe's", await _stripe_time(container)),
    ):
        if theirs is None:
            continue
        apart = (container.clock.now() - theirs).total_seconds()
        if abs(apart) > APART_SECONDS:
            side = "ahead of" if apart > 0 else "behind"
            wrong.append(
                f"this machine's clock is {abs(apart):.0f} s {side} {whose}: set it, or every event of Stripe's is refused"
            )
        else:
            told.append(f"agrees with {whose}")
    if wrong:
        raise NotWellError("; ".join(wrong))
    block = await _block_time(container)
    if block is not None:
        age = (container.clock.now() - block).total_seconds()
        told.append(
            f"the newest block is {age:.0f} s old"
            + (": is the chain, or are the nodes, standing still?" if age > OLD_BLOCK_SECONDS else "")
        )
    return "; ".join(told) or "there is nothing to compare it with"


async def _database_time(container: Container) -> datetime | None:
    try:
        async with container.database.read() as conn:
            found = (await conn.execute(sa.select(sa.type_coerce(db_now(), UtcDateTime())))).scalar_one()
    except DATABASE_ERRORS:
        return None
    return found if isinstance(found, datetime) else None


async def _stripe_time(container: Container) -> datetime | None:
    """The `Date` of whatever Stripe answers to a request without a key, to the second."""
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
