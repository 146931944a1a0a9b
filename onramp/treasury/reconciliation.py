"""Compare the ledger with the chain over HTTP, when a person asks for it."""

from typing import Any

from aiohttp import web

from chain.errors import ChainError
from kit.http.documents import reply
from kit.http.problems import Problem
from kit.http.routing import Route
from onramp.treasury.command import command
from onramp.treasury.common import BASE, wallet_of
from onramp.treasury.dependencies import TREASURY
from onramp.treasury.earlier_wallets import earlier_accounts
from onramp.treasury.schemas import reconciliation as schemas
from onramp.treasury.schemas.common import Note
from onramp.treasury.schemas.settlements import settlement
from treasury import reconciliation
from treasury.core.assets import MUSD, MUSD_DECIMALS
from treasury.core.leader import lock_leader
from treasury.incidents import unmatched
from treasury.sender.wallet_chain import QuorumWalletChain
from treasury.settlements import queries


async def reconcile(request: web.Request) -> web.StreamResponse:
    """Read the chain, then post the differences and return them; the chain is read before the transaction opens."""
    services = request.app[TREASURY]
    wallet = wallet_of(services)
    chain = QuorumWalletChain(services.pool, wallet=wallet.address, token=services.rules.token)
    try:
        view = await chain.view()
    except ChainError as error:
        raise Problem(
            503, "chain_unavailable", f"The nodes do not agree on the wallet, so nothing was compared: {error}"
        ) from error
    async with services.database.read() as conn:
        decided = await reconciliation.missing_gas_postings(conn, wallet)
        assets = [] if services.policy is None else await services.policy.assets(conn)
    costs = await reconciliation.gas_costs(chain, decided)
    others = await reconciliation.other_balances_at(chain, assets, services.rules.token, view.block_number)
    decimals = {asset.symbol: asset.decimals for asset in assets}
    async with command(request, "reconcile", wallet.address) as cmd:
        conn = cmd.conn
        # The leader compares, too, and whatever it settles in the meantime would count twice.
        await lock_leader(conn, wallet)
        if await reconciliation.has_unsettled(conn, wallet, view) or await reconciliation.view_is_stale(
            conn, wallet, view
        ):
            raise Problem(409, "not_possible", "A transaction is mined but not yet proved; try again in a moment.")
        unknown = await reconciliation.unknown_nonces(conn, wallet, view)
        if unknown:
            raise Problem(
                409,
                "not_possible",
                f"The chain counts {unknown} transactions of the wallet that are still being searched for; "
                "try again in a minute.",
            )
        now, due = cmd.now(), await reconciliation.missing_gas_postings(conn, wallet)
        due_costs = {transaction.id: costs.get(transaction.id) for transaction in due}
        differences = await reconciliation.compare(
            conn, wallet.address, MUSD, view, due, due_costs, now=now, others=others
        )
        open_transactions, doubtful = await unmatched.list_open(conn, wallet), await queries.open_issues(conn)
        response = schemas.ReconciliationResponse(
            agrees=not open_transactions
            and not any(difference.suspense > 0 for difference in differences)
            and not any(row.contradiction for row in doubtful),
            block_number=view.block_number,
            data=[schemas.difference(row, decimals.get(row.asset, MUSD_DECIMALS)) for row in differences],
            unexplained=[schemas.unmatched_transaction(row) for row in open_transactions],
            settlements=[settlement(row) for row in doubtful],
            earlier=await earlier_accounts(conn, cmd.services),
        )
        facts: dict[str, Any] = {"agrees": response.agrees, "blockNumber": view.block_number}
        cmd.record(wallet.address, None, facts | {row.asset: str(row.suspense) for row in differences})
    return reply(response)


ROUTES = (
    Route(
        "POST",
        BASE + "/reconcile",
        reconcile,
        access="operator",
        summary="Compare ledger and chain now, at one agreed block; a difference is posted to suspense.",
        name="reconcile",
        body=Note,
        body_optional=True,
        response=schemas.ReconciliationResponse,
        responses={
            409: "`not_possible`: a transaction is not yet settled or not yet known.",
            503: "`chain_unavailable`: the nodes do not agree.",
        },
        codes={409: ("not_possible",), 503: ("chain_unavailable",)},
    ),
)
