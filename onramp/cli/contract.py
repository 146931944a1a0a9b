"""`onramp contract`: deploy PayOnce with the hot wallet's key, verify its code on the chain, and approve how much it may move."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onramp.cli.contract_approval import approve
from onramp.cli.local import migrated
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_pairs, run, settings

if TYPE_CHECKING:
    from chain.pool.pool import Pool

contract_app = typer.Typer(
    name="contract",
    help="PayOnce, the contract that pays many buyers in one transaction.\n\nExample: [bold]onramp contract verify[/bold]",
    no_args_is_help=True,
)
contract_app.command()(approve)
MINED_SECONDS: Final = 90.0
"""Seconds that `deploy` waits for the code to appear; a block of Mezo takes four."""


@contract_app.command()
def deploy(*, as_json: Json = False) -> None:
    """Deploy PayOnce, signed by the hot wallet's signer. The worker `treasury` must not run meanwhile. Does nothing if it is deployed already.

    Example: [bold]onramp contract deploy[/bold]
    """
    migrated()
    document = run(_deploy())
    if as_json:
        print_json(document)
    else:
        print_pairs(list(document.items()))
        typer.echo(_NEXT[document["status"]])
    if document["status"] == "sent":
        raise CommandError(
            "onramp: the deployment was sent, but is not mined yet; start the worker `treasury`, which sends it again."
        )


_THEN: Final = "Then `onramp contract approve` lets it move the hot wallet's MUSD, and PAYOUT_CONTRACT, set to the address, makes payouts through it."
_NEXT: Final = {
    "already_deployed": f"PayOnce is deployed on this chain already; nothing was sent. {_THEN}",
    "deployed": "PayOnce is deployed. Start the worker `treasury` again: it proves the transaction. When it is final, stop the worker once"
    f" more. {_THEN}",
    "sent": "`onramp contract verify` says when it is deployed.",
}


@contract_app.command()
def verify(
    address: Annotated[
        str, typer.Option(help="By default PAYOUT_CONTRACT, or else the address that PayOnce has on every chain.")
    ] = "",
    *,
    as_json: Json = False,
) -> None:
    """Compare the code at the contract's address with the pinned code, as at least two providers agree. Exit status 1 if it differs.

    Example: [bold]onramp contract verify[/bold]
    """
    document = run(_verify(address))
    if as_json:
        print_json(document)
    else:
        print_pairs(list(document.items()))
        if document["ok"]:
            typer.echo("Let it move the hot wallet's MUSD with `onramp contract approve`, unless that is done.")
    if not document["ok"]:
        advice = "deploy it with `onramp contract deploy`" if document["code"] == "missing" else "do not use it"
        raise CommandError(f"onramp: PayOnce does not stand at {document['address']}: {advice}.")


async def _deploy() -> dict[str, Any]:
    from chain.errors import ChainError
    from chain.payonce import ADDRESS
    from onramp.bootstrap.container import open_container
    from onramp.bootstrap.contract_calls import make_deployer
    from treasury.payonce.wallet_call import CallRefused
    from treasury.signers.protocol import SignerError

    async with open_container(settings()) as container:
        try:
            tx_hash = await (await make_deployer(container)).deploy()
            status = "already_deployed" if tx_hash is None else await _await_code(container.pool)
        except (CallRefused, SignerError) as error:
            raise CommandError(f"onramp: {error}") from error
        except ChainError as error:
            raise CommandError(f"onramp: too few nodes agree: {error}; see `onramp chain status`") from error
        return {"address": ADDRESS, "chainId": container.rules.chain_id, "status": status, "txHash": tx_hash}


async def _await_code(pool: "Pool") -> str:
    """Return `deployed` once enough providers show the code, `sent` if they do not in time."""
    from chain.errors import ChainError
    from chain.payonce import ADDRESS
    from chain.reads.payonce import Code, read_code

    deadline = asyncio.get_running_loop().time() + MINED_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            if await read_code(pool, ADDRESS) == [Code.PAYONCE]:
                return "deployed"
        except ChainError:
            pass  # one node may be a block ahead of another
        await asyncio.sleep(1.0)
    return "sent"


async def _verify(address: str) -> dict[str, Any]:
    from chain.errors import ChainError
    from chain.payonce import ADDRESS, CODE_HASH, FACTORY
    from chain.reads.payonce import Code, read_code
    from chain.types import to_checksum
    from onramp.bootstrap.container import open_container

    loaded = settings()
    try:
        contract = to_checksum(address or loaded.PAYOUT_CONTRACT or ADDRESS)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--address") from error
    async with open_container(loaded) as container:
        try:
            code, factory = await read_code(container.pool, contract, FACTORY)
        except ChainError as error:
            raise CommandError(f"onramp: too few nodes agree: {error}; see `onramp chain status`") from error
    return {
        "ok": code is Code.PAYONCE,
        "address": contract,
        "chainId": loaded.CHAIN_ID,
        "code": code.value,
        "codeHash": CODE_HASH,
        "factory": factory is Code.FACTORY,
    }
