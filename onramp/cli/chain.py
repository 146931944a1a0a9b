"""`onramp chain`: show the state of each node."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_table, run, settings

chain_app = typer.Typer(
    name="chain",
    help="The nodes that the chain is read from.\n\nExample: [bold]onramp chain status[/bold]",
    no_args_is_help=True,
)
LOOKS: Final = 5
"""How many requests are sent to each node before its times are shown."""
EVERY_SECONDS: Final = 2.0


@chain_app.command()
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Ask every node, and show its state. Exit status 1 if deliveries and payouts would have to wait.

    Example: [bold]onramp chain status --watch[/bold]
    """
    if not run(_status(watch=watch, as_json=as_json)):
        raise CommandError(
            "onramp: too few node providers answer or agree; deliveries and payouts wait, nothing is lost"
        )


async def _status(*, watch: bool, as_json: bool) -> bool:
    from rich.console import Console

    from chain.errors import NoAgreement
    from chain.reads.logs import look_back
    from onramp.bootstrap.container import open_container

    async with open_container(settings()) as container:
        pool = container.pool
        await container.watch.check_once()
        for _ in range(LOOKS):
            await pool.refresh()
            await asyncio.sleep(0.3)
        await asyncio.gather(*(look_back(node) for node in pool.nodes))
        while True:
            try:
                head: int | None = pool.agreed_head()
            except NoAgreement:
                head = None
            compared = await container.watch.cross_check()
            if as_json:
                nodes = [_document(one) for one in pool.statuses()]
                differences = [str(one) for one in compared.contradictions]
                print_json(
                    {
                        "agreedHead": head,
                        "paused": pool.halt_reason,
                        "compared": {"block": compared.block, "agreed": compared.agreed, "contradictions": differences},
                        "nodes": nodes,
                    }
                )
            else:
                if watch:
                    Console().clear()
                _show(pool, head)
                _show_compared(compared)
            if not watch:
                return head is not None and compared.is_decided
            await asyncio.sleep(EVERY_SECONDS)
            await pool.refresh()


def _document(one: Any) -> dict[str, Any]:
    from pydantic.alias_generators import to_camel

    left_out = {"state", "quarantined"}
    # Outside, a node's provider is its operator: CHAIN_AGREEMENT and MEZO_RPC_URLS use that word.
    shown = {"provider": "operator"}
    return {to_camel(shown.get(name, name)): value for name, value in asdict(one).items() if name not in left_out}


def _show(pool: Any, head: int | None) -> None:
    rows = [
        (
            one.name,
            one.kind,
            one.health + ("" if one.pruned_to is None else f", pruned to {one.pruned_to} or later"),
            "-" if one.head is None else str(one.head),
            "-" if one.lag is None else str(one.lag),
            "-" if one.holds_from is None else f"from {one.holds_from}",
            one.milliseconds,
            one.went_wrong,
            f"{one.credits_used}" + ("" if one.credits_left is None else f" of {one.credits_used + one.credits_left}"),
        )
        for one in pool.statuses()
    ]
    print_table(
        ("node", "class", "state", "head", "lag", "history", "p50 / p95 ms", "errors", "credits"),
        rows,
        empty="No nodes: set MEZO_RPC_URLS or SPECTRUM_RPC_URLS.",
    )
    agreed = "no agreed head" if head is None else f"agreed head {head}"
    typer.echo(
        f"{agreed}; {pool.agreement} of {len(pool.providers)} providers must agree"
        + (f"; paused: {pool.halt_reason}" if pool.halt_reason else "")
    )


def _show_compared(compared: Any) -> None:
    for one in compared.contradictions:
        typer.echo(f"! {one}")
    if compared.agreed:
        typer.echo(f"agreed: {', '.join(compared.agreed)}")
