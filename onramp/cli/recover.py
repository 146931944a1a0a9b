"""`onramp recover`: the way back from a backup, as a checklist that can be interrupted and continued."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onramp.cli.audit import parse_head
from onramp.cli.options import Json, Note
from onramp.cli.output import CommandError, print_json, print_table, run, settings

if TYPE_CHECKING:
    from onramp.recovery.context import Options
    from onramp.recovery.model import Progress

_TITLES = {
    "stopped": "every process is stopped",
    "migrated": "the schema is of this version",
    "verified": "the audit trail is whole",
    "paused": "sales, payouts and sweeps are paused",
    "declared": "the restore is declared",
    "logged_out": "wallets' tokens have ended",
    "rebuilt": "purchases are rebuilt from Stripe",
    "listed": "what persons have to do again is listed",
    "spent": "the workers have spent the nonces",
    "compared": "ledger, chain and Stripe agree",
    "resumed": "another person has resumed",
}


def recover(
    head: Annotated[
        list[str] | None,
        typer.Option(help="NUMBER:HASH of the newest head of the audit trail that was published; may be repeated."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, max=16, help="HOT_WALLET_PIPELINE, if it was ever higher than it is now.")
    ] = 1,
    person: Annotated[
        str, typer.Option(help="Who runs this, as in the person of an API key; another one resumes.")
    ] = "",
    note: Note = "",
    deployment: Annotated[
        str, typer.Option(help="Of a lost database without a backup: its deployment id, whose sessions are taken over.")
    ] = "",
    unused: Annotated[
        list[str] | None,
        typer.Option(help="An earlier hot wallet that has signed nothing since the backup; may be repeated."),
    ] = None,
    *,
    without_head: Annotated[bool, typer.Option("--without-head", help="No head of the audit trail was kept.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Begin a new checklist: the database was restored once more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Go through what makes a restored database safe. Run it again until it is finished; what is done is not repeated.

    Run it on the restored database before any process starts. It pauses everything, declares the restore, ends the tokens of wallets and
    rebuilds purchases from Stripe. Then start the service: its worker spends the nonces that lost transactions may hold. At last another
    person resumes. Exit status 1 while a step is left; stderr says what to do next.

    Example: [bold]onramp recover --head 1042:5f2c... --person anna[/bold]
    """
    from kit.audit.hash_chain import Head
    from kit.audit.service import LOCAL_OPERATOR
    from onramp.recovery.context import Options

    if head and without_head:
        raise typer.BadParameter("--head and --without-head exclude each other", param_hint="--without-head")
    options = Options(
        heads=[Head(*parse_head(text)) for text in head or ()],
        without_head=without_head,
        depth=depth,
        deployment=_deployment_id(deployment),
        unused=[_address(text) for text in unused or ()],
        person=person or LOCAL_OPERATOR,
        note=note,
    )
    progress = run(_advance(options, again=again))
    if as_json:
        print_json(_document(progress))
    else:
        _print(progress)
    if progress.waits_for is not None:
        raise CommandError(f"onramp: not finished: {progress.waits_for}")


def _deployment_id(text: str) -> str:
    from onramp.deployment.service import PREFIX

    digits = text.removeprefix(PREFIX)
    if text and not (text.startswith(PREFIX) and digits.isascii() and digits.isalnum() and len(text) <= 64):
        raise typer.BadParameter(
            f"must be {PREFIX} and the digits that `onramp doctor` showed", param_hint="--deployment"
        )
    return text


def _address(text: str) -> str:
    from chain.types import to_checksum

    try:
        return to_checksum(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}", param_hint="--unused") from error


async def _advance(options: "Options", *, again: bool) -> "Progress":
    from kit.db.database import DATABASE_ERRORS, reason_of
    from onramp import migrations
    from onramp.bootstrap.container import open_container
    from onramp.recovery.checklist import advance
    from onramp.recovery.context import RecoveryContext
    from onramp.recovery.model import NotYet

    loaded = settings()
    async with open_container(loaded) as container:

        async def is_migrated() -> bool:
            return await migrations.current(container.database) == migrations.newest()

        async def migrate() -> tuple[str | None, str]:
            try:
                return await migrations.upgrade(container.database)
            except migrations.MigrationError as error:
                raise NotYet(f"{error} Then run `onramp recover` again.") from error

        context = RecoveryContext(
            database=container.database,
            stripe=container.stripe,
            refresher=container.refresher,
            config=container.rules,
            ring=loaded.ring,
            clock=container.clock,
            ids=container.ids,
            pipeline_depth=loaded.HOT_WALLET_PIPELINE,
            options=options,
            is_migrated=is_migrated,
            migrate=migrate,
        )
        try:
            return await advance(context, again=again)
        except DATABASE_ERRORS as error:
            raise CommandError(
                f"onramp: the database cannot be used: {reason_of(error)}. Is DATABASE_URL right?"
            ) from error


def _document(progress: "Progress") -> dict[str, Any]:
    from kit.clock import rfc3339

    recovery = progress.recovery
    return {
        "id": None if recovery is None else recovery.id,
        "begunAt": None if recovery is None else rfc3339(recovery.begun_at),
        "backupAt": None if recovery is None or recovery.backup_at is None else rfc3339(recovery.backup_at),
        "finishedAt": None if recovery is None or recovery.finished_at is None else rfc3339(recovery.finished_at),
        "steps": _steps(progress),
        "next": progress.waits_for,
    }


def _steps(progress: "Progress") -> list[dict[str, Any]]:
    from kit.clock import rfc3339
    from onramp.recovery.model import StepName

    rows = []
    for name in StepName:
        step = progress.done.get(name)
        done = {"done": step is not None, "doneAt": None if step is None else rfc3339(step.done_at)}
        rows.append({"name": str(name), **done, "result": None if step is None else dict(step.result)})
    return rows


def _print(progress: "Progress") -> None:
    rows = [
        ("ok" if row["done"] else "", row["name"], _TITLES[row["name"]], row["doneAt"] or "")
        for row in _steps(progress)
    ]
    recovery = progress.recovery
    print_table(("", "step", "what", "done at"), rows, title="" if recovery is None else f"Recovery {recovery.id}")
    if recovery is not None and recovery.finished_at is not None:
        return
    for row in _steps(progress):
        for line in _lines(row["name"], row["result"] or {}):
            typer.echo(line)


def _lines(name: str, result: Mapping[str, Any]) -> list[str]:
    """Return the lines that a person has to know of a step's result."""
    if name == "verified" and result.get("lostEntries"):
        return [f"The backup lacks the newest {result['lostEntries']} entries of the audit trail."]
    if name == "declared" and result.get("earlierWallets"):
        return [
            "These earlier hot wallets may have signed payments that the backup does not know. Until a service with the",
            "wallet's key has spent its nonces, purchases from before the restore are left to persons if the chain does not",
            "show their payment. If a wallet has signed nothing since the backup, stop every process again and repeat the first",
            "command, with its --head and --person, with --again and --unused ADDRESS.",
            *(f"  {wallet}" for wallet in result["earlierWallets"]),
        ]
    if name == "rebuilt" and result:
        return [
            f"{result['completed']} completed purchases at Stripe since the backup; {result['rebuilt']} were rebuilt or brought up to date."
        ]
    if name == "listed" and result:
        keys = [f"  {key['id']} {key['name']} ({key['role']}, {key['person']})" for key in result["keysToReview"]]
        return [
            f"The backup ends at {result['since'] or 'nothing'}. Do again what was done since:",
            *(f"  - {line}" for line in result["doAgain"]),
            *(["API keys that work now:", *keys] if keys else []),
        ]
    if name == "compared" and result:
        return [
            f"Completed at Stripe {result['completed']}, paid on the chain {result['paid']}, owed {result['owed']} MUSD.",
            *(f"  A person decides about {session}." for session in result["decidedByPersons"]),
        ]
    return []
