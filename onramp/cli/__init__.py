"""The command line: a command that changes something says so, a failure is one line on stderr, and tracebacks are never shown.

Each command imports the heavy modules that it needs itself, so that `--help` is instant.
"""

import sys
from os import environ
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from kit.validation import validation_text
from onramp import __version__
from onramp.cli import (
    hooks,
    invitations,
    treasury_commands,
    treasury_ledger,
    treasury_refills,
    treasury_settlements,
    treasury_sweeps,
)
from onramp.cli.alarms import alarms_app
from onramp.cli.audit import audit_app
from onramp.cli.chain import chain_app
from onramp.cli.console import console_app
from onramp.cli.contract import contract_app
from onramp.cli.hooks import hooks_app
from onramp.cli.hooks_listen import listen
from onramp.cli.hooks_verify import verify
from onramp.cli.keys import keys_app
from onramp.cli.notices import notices_app
from onramp.cli.openapi import openapi
from onramp.cli.output import CommandError
from onramp.cli.privacy import privacy_app
from onramp.cli.recover import recover
from onramp.cli.running import dev, doctor, migrate, routes, serve, work
from onramp.cli.stored import events_app, sessions_app
from onramp.cli.treasury import treasury_app


class PlainErrors(TyperGroup):
    """A command group that shows the error of an invalid option value without pydantic's prefixes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a ValidationError becomes an error about the option."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = validation_text(error.message)
            raise


app = typer.Typer(
    name="onramp",
    cls=PlainErrors,
    help="Sell MUSD for a card payment, and keep the money behind it safe.\n\nExample: [bold]onramp dev[/bold]",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(asked: bool) -> None:
    """Print the version and exit, if it was `asked` for; also where the settings are incomplete."""
    if asked:
        revision = environ.get("ONRAMP_REVISION", "")
        print(f"onramp {__version__}" + (f" (revision {revision})" if revision else ""))
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version and revision.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    del version


app.command()(dev)
app.command()(serve)
app.command()(work)
app.command()(migrate)
app.command()(doctor)
app.command()(recover)
app.command()(routes)
app.command()(openapi)
app.add_typer(alarms_app, name="alarms")
app.add_typer(notices_app, name="notices")
app.add_typer(sessions_app, name="sessions")
app.add_typer(events_app, name="events")
app.add_typer(chain_app, name="chain")
app.add_typer(contract_app, name="contract")
for name, function in invitations.COMMANDS.items():
    keys_app.command(name)(function)
app.add_typer(keys_app, name="keys")
app.add_typer(console_app, name="console")
for name, function in hooks.COMMANDS.items():
    hooks_app.command(name)(function)
hooks_app.command("listen")(listen)
hooks_app.command("verify")(verify)
app.add_typer(hooks_app, name="hooks")
app.add_typer(audit_app, name="audit")
app.add_typer(privacy_app, name="privacy")
app.add_typer(treasury_app, name="treasury")
for module in (treasury_commands, treasury_sweeps, treasury_ledger, treasury_settlements, treasury_refills):
    for name, function in module.COMMANDS.items():
        treasury_app.command(name)(function)


def main() -> NoReturn:
    """Run the command that was typed; any failure is one line on stderr and exit status 1."""
    from kit.logs import configure, redact

    # The output of a command is its result, without log lines; `serve` and `work` configure logging themselves.
    configure("critical")
    try:
        app()
    except CommandError as error:
        for line in error.lines:
            print(redact(line), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if environ.get("LOG_LEVEL") == "debug":
            raise
        print(redact(f"onramp: {type(error).__name__}: {error}"), file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
