"""Options that several commands share, with the same help text everywhere."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of rows.")]
Cursor = Annotated[str | None, typer.Option(help="nextCursor of the previous page.")]
Note = Annotated[str, typer.Option(help="Why; kept in the history and the audit log.")]
Otp = Annotated[str, typer.Option(help="A code of this key's second factor, if it has one.")]
