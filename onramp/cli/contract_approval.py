"""`onramp contract approve`: how much of the hot wallet's MUSD PayOnce may move."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onramp.cli.local import migrated
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_pairs, run, settings

if TYPE_CHECKING:
    from treasury.payonce.approval import Approver

MINED_SECONDS: Final = 90.0
"""Seconds that the command waits for the approval to be mined; a block of Mezo takes four."""


def approve(
    amount: Annotated[
        str | None,
        typer.Option(
            help="MUSD that it may move from now on, such as 5000.00; by default as much as the policy allows."
        ),
    ] = None,
    *,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="Any amount; only if the policy says so (payouts.max_allowance).")
    ] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Nothing any more.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Let PayOnce move the hot wallet's MUSD, signed by its signer; the amount replaces what was approved before.

    Nothing moves by that: PayOnce moves MUSD only in transactions that the hot wallet itself signs. Without an approval no payout can be made
    through it. The worker `treasury` must not run meanwhile. Does nothing if that amount is approved already.

    Example: [bold]onramp contract approve --amount 5000.00[/bold]
    """
    if sum((amount is not None, unlimited, revoke)) > 1:
        raise typer.BadParameter("--amount, --unlimited and --revoke exclude each other", param_hint="--amount")
    wanted = _base_units(amount, unlimited=unlimited, revoke=revoke)
    migrated()
    document = run(_approve(wanted, ask=not yes))
    if as_json:
        print_json(document)
    else:
        print_pairs(list(document.items()))
        typer.echo(_NEXT[document["status"]])
    if document["status"] == "sent":
        raise CommandError(
            "onramp: the approval was sent, but is not mined yet; start the worker `treasury`, which sends it again."
        )


_NEXT: Final = {
    "already_approved": "PayOnce may move that much already; nothing was sent.",
    "approved": "Start the worker `treasury` again: it proves the transaction, and pays through PayOnce if PAYOUT_CONTRACT is set to its address.",
    "revoked": "PayOnce may move nothing any more. Start the worker `treasury` again: it proves the transaction. Where PAYOUT_CONTRACT is set,"
    " payouts wait until `onramp contract approve`.",
    "sent": "`onramp doctor` says what PayOnce may move.",
}


def _base_units(amount: str | None, *, unlimited: bool, revoke: bool) -> int | None:
    """Return the base units to approve; None for as much as the policy allows. Raises BadParameter for contradicting or invalid options."""
    from kit.money import parse_units
    from treasury.core.assets import MUSD_DECIMALS
    from treasury.policy.model import UNLIMITED

    if unlimited or revoke:
        return UNLIMITED if unlimited else 0
    if amount is None:
        return None
    try:
        units = parse_units(amount, MUSD_DECIMALS)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--amount") from error
    if units == 0:
        raise typer.BadParameter("must be above zero; --revoke takes an approval back", param_hint="--amount")
    return units


async def _approve(wanted: int | None, *, ask: bool) -> dict[str, Any]:
    from chain.errors import ChainError
    from chain.payonce import ADDRESS
    from onramp.bootstrap.container import open_container
    from onramp.bootstrap.contract_calls import make_approver
    from treasury.payonce.approval import allowance_text
    from treasury.payonce.wallet_call import CallRefused
    from treasury.signers.protocol import SignerError

    async with open_container(settings()) as container:
        try:
            approver = await make_approver(container)
            amount = approver.max_allowance if wanted is None else wanted
            approver.require_within_policy(amount)
            if ask:
                await _confirm(approver, amount)
            tx_hash = await approver.approve(amount)
            done = "approved" if amount else "revoked"
            if tx_hash is None:
                done = "already_approved"
            elif not await approver.await_allowance(amount, MINED_SECONDS):
                done = "sent"
        except (CallRefused, SignerError) as error:
            raise CommandError(f"onramp: {error}") from error
        except ChainError as error:
            raise CommandError(
                f"onramp: too few nodes agree: {error}; see `onramp chain status`. Nothing was sent, unless `onramp doctor` shows another"
                " allowance."
            ) from error
    return {
        "spender": ADDRESS,
        "wallet": approver.wallet.address,
        "token": approver.token,
        "chainId": approver.wallet.chain_id,
        "allowance": allowance_text(amount),
        "status": done,
        "txHash": tx_hash,
    }


async def _confirm(approver: "Approver", amount: int) -> None:
    """Print what the approval means for the money, and ask for consent. Raises typer.Abort without consent, ChainError if too few nodes answer."""
    from chain.payonce import ADDRESS
    from kit.money import format_units
    from treasury.core.assets import MUSD_DECIMALS
    from treasury.payonce.approval import allowance_text

    now, view = await approver.allowance(), await approver.chain.view()
    sentences = [
        f"The hot wallet {approver.wallet.address} holds {format_units(view.token, MUSD_DECIMALS)} MUSD.",
        f"PayOnce at {ADDRESS} may move {allowance_text(now)} of it now.",
    ]
    if amount:
        sentences += [
            f"After this it may move {allowance_text(amount)}, to the buyers whom the hot wallet names in transactions that it signs, and in no other way.",
            "Nothing moves now; the hot wallet pays gas.",
        ]
    else:
        sentences.append(
            "After this it may move nothing, and where PAYOUT_CONTRACT is set, no buyer is paid. The hot wallet pays gas."
        )
    typer.echo(" ".join(sentences), err=True)
    typer.confirm("Approve that?" if amount else "Take the approval back?", abort=True, err=True)
