"""How much payouts have taken lately, for the policy's daily limit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kit.db.types import in_array
from treasury.core import aggregates
from treasury.core.status import Status
from treasury.payouts.model import Payout
from treasury.payouts.table import payouts
from treasury.transactions.table import batch_payments, transactions

_NOT_FAILED: Final = sa.and_(
    payouts.c.status.not_in([Status.REJECTED, Status.CANCELLED, Status.REVERTED]),
    sa.not_(in_array(payouts.c.id, "excluded")),
)
_RECENT: Final = transactions.c.created_at >= sa.bindparam("since")
# Joined by both ends, so that the plan may begin with what was signed lately instead of with all payouts.
_BY_ONE: Final = sa.and_(transactions.c.id == payouts.c.transaction_id, transactions.c.operation_id == payouts.c.id)
# Found by their ids in recent batches, for the same reason; a payout that was signed again since is not of those batches any more.
_IN_RECENT_BATCHES: Final = sa.and_(
    payouts.c.id.in_(
        sa.select(batch_payments.c.payout_id)
        .join(transactions, transactions.c.id == batch_payments.c.transaction_id)
        .where(_RECENT, batch_payments.c.payout_id.is_not(None))
    ),
    payouts.c.transaction_id.in_(
        sa.select(transactions.c.id).where(_RECENT, transactions.c.operation_id != payouts.c.id)
    ),
)
_OF_ASSET: Final = aggregates.of_asset(payouts)
_SIGNED_SINCE: Final = aggregates.total_of(
    _OF_ASSET.join(transactions, _BY_ONE).where(_NOT_FAILED, _RECENT),
    _OF_ASSET.where(_NOT_FAILED, _IN_RECENT_BATCHES),
)


async def signed_since(conn: AsyncConnection, queue: Sequence[Payout], since: datetime) -> int:
    """Return the base units of payouts outside `queue` that got a nonce after `since` and are not known to have failed.

    All payouts of `queue` are of one wallet and one asset, whose other payouts are counted; 0 for an empty queue.
    """
    if not queue:
        return 0
    first, excluded = queue[0], [payout.id for payout in queue]
    return await aggregates.total(
        conn, _SIGNED_SINCE, wallet=first.wallet, asset=first.asset, since=since, excluded=excluded
    )
