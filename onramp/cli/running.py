"""Commands that run or check the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from onramp.cli.local import with_database
from onramp.cli.options import Json
from onramp.cli.output import CommandError, print_json, print_table, run, settings, settings_errors


@contextmanager
def _start_errors() -> Iterator[None]:
    """Turn an error at the start of the service, which the block raises, into a CommandError."""
    from onramp.bootstrap.errors import StartError
    from onramp.migrations import MigrationError

    try:
        yield
    except (StartError, MigrationError) as error:
        raise CommandError(f"onramp: {error}") from error


def serve(
    *,
    workers: Annotated[
        bool, typer.Option("--workers/--no-workers", help="Also run the workers in this process.")
    ] = True,
) -> None:
    """Serve the API.

    Example: [bold]onramp serve --no-workers[/bold]
    """
    from onramp.bootstrap.server import serve_forever
    from onramp.bootstrap.workers import WORKERS

    with _start_errors():
        serve_forever(settings(to_run=True), WORKERS if workers else ())


def work(
    only: Annotated[
        str,
        typer.Option(
            help="Comma-separated: inbox, reconcile, deliveries, treasury, audit, janitor, outbox, mail, notices."
        ),
    ] = "",
) -> None:
    """Run only the workers. The worker `treasury`, if it is named, does not start without a working signer.

    Example: [bold]onramp work --only treasury,deliveries[/bold]
    """
    from onramp.bootstrap.server import work_forever
    from onramp.bootstrap.workers import WORKERS

    chosen = tuple(name.strip() for name in only.split(",") if name.strip()) or WORKERS
    unknown = set(chosen) - set(WORKERS)
    if unknown:
        raise typer.BadParameter(
            f"there is no worker {', '.join(sorted(unknown))}; there are {', '.join(WORKERS)}", param_hint="--only"
        )
    with _start_errors():
        work_forever(settings(to_run=True), chosen, named=bool(only))


def migrate() -> None:
    """Migrate the database to the newest revision. Does nothing if it is there already, or newer and usable by this version.

    Example: [bold]onramp migrate[/bold]
    """
    from onramp import migrations

    before, after = with_database(migrations.upgrade, skip_check=True)
    if before != after:
        typer.echo(f"The database was migrated from {before or 'empty'} to {after}.")
    elif after == (newest := migrations.newest()):
        typer.echo(f"The database is at {after}.")
    else:
        typer.echo(f"The database is at {after}, newer than this version's {newest}, which can use it. Nothing to do.")


def doctor(*, as_json: Json = False) -> None:
    """Check settings, database, nodes, Stripe, signer, policy and cold wallet. Exit status 1 if a check fails.

    Example: [bold]onramp doctor --json[/bold]
    """
    from onramp.doctor.parts import examine

    checks = run(examine())
    is_well = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": is_well, "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]})
    else:
        print_table(("", "check", "detail"), [("ok" if c.ok else "FAIL", c.name, c.detail) for c in checks])
    if not is_well:
        failed = ", ".join(check.name for check in checks if not check.ok)
        raise CommandError(f"onramp: failed checks: {failed}")


def routes(*, as_json: Json = False) -> None:
    """List every route and the roles that may use it.

    Example: [bold]onramp routes[/bold]
    """
    from onramp.auth.roles import ALLOWED_ROLES, CALLERS, may_call
    from onramp.bootstrap.app import routes as route_table

    table = route_table(settings())
    callers = {route: [name for name in CALLERS if may_call(route.access, name)] for route in table}
    if as_json:
        print_json([{"method": route.method, "path": route.path, "who": callers[route]} for route in table])
        return
    rows = [
        (
            f"{route.method} {route.path}",
            ", ".join(callers[route]) if route.access in ALLOWED_ROLES else route.access,
        )
        for route in table
    ]
    print_table(("route", "access"), rows)


def dev(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 for a free one.")] = 3001,
    data: Annotated[Path | None, typer.Option(help="A folder that keeps database and chain between runs.")] = None,
) -> None:
    """Run everything on this computer: API, workers, a local Mezo-like chain, a Stripe sandbox.

    Example: [bold]onramp dev --data .run/mine[/bold]
    """
    try:
        from onramp.dev.run import DevStackError, run_dev
    except ModuleNotFoundError as error:
        if error.name != "onramp.dev":
            raise
        raise CommandError("onramp: the development servers are not part of this image; use a checkout") from error

    with _start_errors(), settings_errors():
        try:
            run_dev(port, data)
        except DevStackError as error:
            raise CommandError(f"onramp: {error}") from error
