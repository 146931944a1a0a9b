"""Commands about the chain's nodes."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onramp.cli.output import Refused, print_json, print_table, run, settings

if TYPE_CHECKING:
    from chain.pool import Pool

chain_app = typer.Typer(no_args_is_help=True, help="The nodes that tell us of the chain.")

_SAMPLES = 5
_PAUSE = 0.3
"""Seconds between samples: longer than the moment for which the pool shares one probe."""


@chain_app.callback()
def _group() -> None:
    """Keep `status` a command of its own while it is the only one."""


@chain_app.command("status")
def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Ask each node a few times, and show how it stands; exit 1 while too few operators answer.

    Example: [bold]onramp chain status --watch[/bold]
    """
    if watch and as_json:
        raise typer.BadParameter("choose one: --watch is for people, --json is one document", param_hint="--watch")
    run(_status(watch=watch, as_json=as_json))


async def _status(*, watch: bool, as_json: bool) -> None:
    from rich.console import Console

    from chain.pool import Pool, parse_nodes

    loaded = settings()
    nodes = parse_nodes(loaded.MEZO_RPC_URLS.get_secret_value(), loaded.SPECTRUM_RPC_URLS.get_secret_value())
    if not nodes:
        message = "onramp: no nodes are configured; set MEZO_RPC_URLS or SPECTRUM_RPC_URLS."
        raise Refused(message)
    pool = Pool(nodes, chain_id=loaded.CHAIN_ID, agreement=loaded.CHAIN_AGREEMENT)
    try:
        while True:
            for _ in range(_SAMPLES):
                await pool.refresh()
                await asyncio.sleep(_PAUSE)
            seen = _seen(pool)
            if watch:
                Console().clear()
            if as_json:
                print_json(seen)
            else:
                _print(seen)
            if not watch:
                break
    finally:
        await pool.close()
    if seen["agreedHead"] is None:
        message = f"onramp: {seen['detail']} Nothing is confirmed or sent meanwhile, and nothing is lost."
        raise Refused(message)


def _seen(pool: "Pool") -> dict[str, Any]:
    from chain.errors import NoAgreement
    from chain.standing import standings
    from onramp.doctor import BEHIND_BLOCKS

    head, detail = None, None
    try:
        head = pool.agreed_head()
    except NoAgreement as error:
        detail = str(error)
    nodes = []
    for standing in standings(pool, BEHIND_BLOCKS):
        fields = asdict(standing)
        fields["class"] = fields.pop("node_class")
        fields["lastError"] = fields.pop("last_error")
        nodes.append(fields)
    return {
        "chainId": pool.chain_id,
        "agreement": pool.agreement,
        "operators": len(pool.operators),
        "agreedHead": head,
        "detail": detail,
        "nodes": nodes,
    }


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f}"


def _print(seen: dict[str, Any]) -> None:
    rows = [
        (
            node["name"],
            node["class"],
            node["health"].replace("_", " "),
            node["head"],
            node["lag"],
            f"{_milliseconds(node['p50'])}/{_milliseconds(node['p95'])}",
            ", ".join(f"{kind} {count}" for kind, count in sorted(node["errors"].items())),
            node["credits"],
        )
        for node in seen["nodes"]
    ]
    print_table(
        ("node", "class", "health", "head", "lag", "p50/p95 ms", "errors", "credits"),
        rows,
        title=f"chain {seen['chainId']}: {seen['agreement']} of {seen['operators']} operators must agree",
    )
