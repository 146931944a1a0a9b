"""What commands print: tables for people, JSON for programs, one line for what went wrong."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

if TYPE_CHECKING:
    from onramp.settings import Settings

Result = TypeVar("Result")


class Refused(Exception):
    """The command was refused or failed; `lines` go to stderr and the exit status is 1."""

    def __init__(self, *lines: str) -> None:
        """Usually one line."""
        super().__init__("; ".join(lines))
        self.lines = lines


def settings(*, to_run: bool = False) -> "Settings":
    """The environment, or every problem with it, a line each. `to_run`: for a service that is about to start."""
    from onramp.settings import load, load_to_run

    with settings_refused():
        return load_to_run() if to_run else load()


@contextmanager
def settings_refused() -> Iterator[None]:
    """Settings that cannot be used are the command's refusal."""
    from onramp.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Refused(
            "onramp: the settings cannot be used:", *(f"  {problem}" for problem in error.problems)
        ) from error


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run one coroutine to its end."""
    return asyncio.run(work)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "", empty: str = "Nothing."
) -> None:
    """A table for people, the first column never broken; `empty` where there are no rows."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        # The first column names the row, to be copied into the next command.
        table.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)


def print_pairs(pairs: Sequence[tuple[str, object]], *, title: str = "") -> None:
    """Names and values under a title."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, "" if value is None else str(value))
    Console().print(table)
