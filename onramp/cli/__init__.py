"""The command line: what changes something says so, what fails says why in one line, and no traceback reaches a person.

Heavy parts are imported by the command that needs them, so that `--help` is instant.
"""

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from kit.validation import validation_text
from onramp.cli.audit import audit_app
from onramp.cli.chain import chain_app
from onramp.cli.invitations import INVITATIONS
from onramp.cli.keys import keys_app
from onramp.cli.output import CommandError
from onramp.cli.privacy import privacy_app
from onramp.cli.running import dev, doctor, migrate, routes, serve, work
from onramp.cli.stored import events_app, sessions_app
from onramp.cli.treasury import treasury_app
from onramp.cli.treasury_books import BOOKS
from onramp.cli.treasury_orders import ORDERS
from onramp.cli.treasury_refill import REFILLS
from onramp.cli.treasury_sweeping import SWEEPING
from onramp.cli.treasury_usdc import SETTLING


class PlainWords(TyperGroup):
    """A wrong value of an option is refused in plain words."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = validation_text(error.message)
            raise


app = typer.Typer(
    name="onramp",
    cls=PlainWords,
    help="Sell MUSD for a card payment, and keep the money behind it safe.\n\nExample: [bold]onramp dev[/bold]",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(dev)
app.command()(serve)
app.command()(work)
app.command()(migrate)
app.command()(doctor)
app.command()(routes)
app.add_typer(sessions_app, name="sessions")
app.add_typer(events_app, name="events")
app.add_typer(chain_app, name="chain")
for invitation_name, invitation_command in INVITATIONS.items():
    keys_app.command(invitation_name)(invitation_command)
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(privacy_app, name="privacy")
app.add_typer(treasury_app, name="treasury")
for order, does in {**ORDERS, **SWEEPING, **BOOKS, **SETTLING, **REFILLS}.items():
    treasury_app.command(order)(does)


def main() -> NoReturn:
    """Run, and turn whatever goes wrong into one clear line and exit status 1."""
    from kit.logs import configure, redact

    # A command's output is its answer; the commands that serve set the logs up as they are asked to.
    configure("critical")
    try:
        app()
    except CommandError as refused:
        for line in refused.lines:
            print(redact(line), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from os import environ

        if environ.get("LOG_LEVEL") == "debug":
            raise
        print(redact(f"onramp: {type(error).__name__}: {error}"), file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
