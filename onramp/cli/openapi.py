"""The command that prints the API's description."""

from typing import Annotated

import typer

from onramp.cli.output import print_json, settings


def openapi(
    *,
    typescript: Annotated[
        bool, typer.Option("--typescript", help="The types of the routes that a dApp uses, for TypeScript.")
    ] = False,
) -> None:
    """Print the OpenAPI document, or the types that a client is made of.

    Example: [bold]onramp openapi --typescript[/bold]
    """
    from onramp.bootstrap.app import routes as route_table
    from onramp.ops import openapi as documents

    table = tuple(route_table(settings()))
    if typescript:
        typer.echo(documents.typescript(table), nl=False)
    else:
        print_json(documents.specification(table))
