"""The ledger over HTTP: shown, and compared with the chain when a person asks."""

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from chain.errors import ChainError
from kit.http.documents import reply
from kit.http.parsing import body_of, query_of
from kit.http.problems import Problem
from kit.http.routing import Route
from onramp.auth.roles import Principal
from onramp.treasury.command import Told, carry_out
from onramp.treasury.dependencies import TREASURY, TreasuryServices
from onramp.treasury.earlier_wallets import decimals_of, earlier
from onramp.treasury.overview import BASE
from onramp.treasury.schemas import ledger as shapes
from onramp.treasury.schemas.commands import Note
from onramp.treasury.schemas.settlements import settlement
from treasury import reconciliation, rotation
from treasury.core.assets import MUSD, MUSD_DECIMALS, USDC, USDC_DECIMALS
from treasury.core.hot_wallets import HotWallet
from treasury.core.leader import lock_leader
from treasury.incidents import unmatched
from treasury.ledger import service as ledger_service
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.settlements import queries


async def read(request: web.Request) -> web.StreamResponse:
    """Accounts and movements; empty where this service pays from no wallet."""
    services, query = request.app[TREASURY], query_of(request, shapes.LedgerQuery)
    wallet, policy = services.rules.hot_wallet, services.policy
    if wallet is None or policy is None:
        return reply(shapes.LedgerPage(accounts=[], earlier=[], data=[], next_cursor=None))
    async with services.database.read() as conn:
        decimals = {**await policy.decimals(conn), USDC: USDC_DECIMALS}
        held = [
            shapes.accounts(wallet, asset, await ledger_service.balances(conn, wallet, asset), places)
            for asset, places in decimals.items()
        ]
        left = await earlier(conn, services)
        wallets = [wallet, *await rotation.earlier_wallets(conn, wallet)]
        found = await ledger_service.page(conn, wallets, limit=query.limit + 1, before=query.cursor)
        decimals |= await decimals_of(conn, services, wallets)
    page = found[: query.limit]
    return reply(
        shapes.LedgerPage(
            accounts=held,
            earlier=left,
            data=[shapes.posting(row, decimals[row.asset]) for row in page],
            next_cursor=str(page[-1].id) if len(found) > query.limit else None,
        )
    )


def wallet_of(services: TreasuryServices) -> HotWallet:
    """The hot wallet. Raises Problem where this service pays from none."""
    if services.rules.hot_wallet is None:
        raise Problem(409, "not_possible", "This service pays from no wallet: DELIVERY_MODE is observe.")
    return HotWallet(services.rules.chain_id, services.rules.hot_wallet)


async def reconcile(request: web.Request) -> web.StreamResponse:
    """Read the chain, then post and answer what differs; the chain is asked before the transaction is opened."""
    body_of(request, Note)
    services = request.app[TREASURY]
    hot_wallet = wallet_of(services)
    wallet = hot_wallet.address
    chain = QuorumWalletChain(services.pool, wallet=wallet, token=services.rules.token)
    try:
        view = await chain.view()
    except ChainError as error:
        text = f"The nodes do not agree on the wallet, so nothing was compared: {error}"
        raise Problem(503, "chain_unavailable", text) from error
    async with services.database.read() as conn:
        decided = await reconciliation.missing_gas_postings(conn, hot_wallet)
        listed = [] if services.policy is None else await services.policy.assets(conn)
    costs = await reconciliation.gas_costs(chain, decided)
    others = await reconciliation.other_balances_at(chain, listed, services.rules.token, view.block_number)
    decimals = {asset.symbol: asset.decimals for asset in listed}

    async def work(
        conn: AsyncConnection, services: TreasuryServices, who: Principal
    ) -> tuple[shapes.Reconciliation, list[Told]]:
        del who
        # The leader compares, too; what it settles in between would count twice.
        await lock_leader(conn, hot_wallet)
        if await reconciliation.has_unsettled(conn, hot_wallet, view) or await reconciliation.view_is_stale(
            conn, hot_wallet, view
        ):
            raise Problem(409, "not_possible", "A transaction is mined and not proved yet; try again in a moment.")
        unknown = await reconciliation.unknown_nonces(conn, hot_wallet, view)
        if unknown:
            text = f"The chain counts {unknown} transactions of the wallet that are still looked for; try again in a minute."
            raise Problem(409, "not_possible", text)
        now, due = services.clock.now(), await reconciliation.missing_gas_postings(conn, hot_wallet)
        known = {one.id: costs.get(one.id) for one in due}
        found = await reconciliation.compare(conn, wallet, MUSD, view, due, known, now=now, others=others)
        rows, settled = await unmatched.list_open(conn, hot_wallet), await queries.open_issues(conn)
        answer = shapes.Reconciliation(
            agrees=not rows
            and not any(one.suspense > 0 for one in found)
            and not any(one.contradiction for one in settled),
            block_number=view.block_number,
            data=[shapes.difference(one, decimals.get(one.asset, MUSD_DECIMALS)) for one in found],
            unexplained=[shapes.unexplained(row) for row in rows],
            settlements=[settlement(row) for row in settled],
            earlier=await earlier(conn, services),
        )
        facts: dict[str, Any] = {"agrees": answer.agrees, "blockNumber": view.block_number}
        return answer, [Told(wallet, None, facts | {one.asset: str(one.suspense) for one in found})]

    return reply(await carry_out(request, "reconcile", wallet, work))


ROUTES = (
    Route(
        "GET",
        BASE + "/ledger",
        read,
        access="viewer",
        summary="Where every coin is, and its movements, the newest first.",
        name="ledger",
        query=shapes.LedgerQuery,
        response=shapes.LedgerPage,
    ),
    Route(
        "POST",
        BASE + "/reconcile",
        reconcile,
        access="operator",
        summary="Compare ledger and chain now, at one agreed block; a difference goes to suspense.",
        name="reconcile",
        body=Note,
        body_optional=True,
        response=shapes.Reconciliation,
        responses={
            409: "`not_possible`: a transaction is not settled or not known yet.",
            503: "`chain_unavailable`: the nodes do not agree.",
        },
    ),
)
