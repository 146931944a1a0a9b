"""Options that several commands take, each in the same words everywhere."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")]
Cursor = Annotated[str | None, typer.Option(help="nextCursor of the page before.")]
Note = Annotated[str, typer.Option(help="Why; kept in the history and the audit trail.")]
Otp = Annotated[str, typer.Option(help="The code of this key's second factor, where it has one.")]
