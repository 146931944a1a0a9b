"""What commands print: tables for people, JSON for programs, one line for what went wrong."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from onramp.config.settings import Settings

Result = TypeVar("Result")
WIDE: Final = 400
"""Columns where nobody's terminal says how many."""


class CommandError(Exception):
    """The command was refused or failed; `lines` go to stderr and the exit status is 1."""

    def __init__(self, *lines: str) -> None:
        """Usually one line."""
        super().__init__("; ".join(lines))
        self.lines = lines


def settings(*, to_run: bool = False) -> "Settings":
    """The environment, or every problem with it, a line each. `to_run`: for a service that is about to start."""
    from onramp.config.loader import load, load_to_run

    with settings_refused():
        return load_to_run() if to_run else load()


@contextmanager
def settings_refused() -> Iterator[None]:
    """Settings that cannot be used are the command's refusal."""
    from onramp.config.loader import SettingsError

    try:
        yield
    except SettingsError as error:
        raise CommandError(
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
    """A table for people, `empty` where there are no rows.

    Lines are broken between words alone, never within a figure or a hash: what is too wide is turned on its side, or listed row by row.
    """
    console, texts = _console(), [[_text(value) for value in row] for row in rows]
    if not texts:
        console.print(empty)
        return
    upright, turned = [list(columns), *texts], [list(line) for line in zip(columns, *texts, strict=True)]
    for lines in (upright, turned):
        widths = _widths(list(zip(*lines, strict=True)), console.width)
        if widths is not None:
            console.print(_table(lines, widths, title, is_turned=lines is turned))
            return
    if title:
        console.print(title, style="italic")
    for row in texts:
        for line in _filled(
            [f"{name} {text}".strip() for name, text in zip(columns, row, strict=True) if text], console.width
        ):
            console.print(line)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column may be in a table of `room`; None where a word would have to be broken.

    Rich would shrink the widest column first, which is seldom the one that has words to break between.
    """
    needed = [max(_longest_word(text) for text in column) for column in columns]
    wanted = [max(map(len, column)) for column in columns]
    spare = room - sum(needed) - 3 * len(columns) - 1  # a line and a space on either side of each column
    if spare < 0:
        return None
    widths = list(needed)
    for left, place in enumerate(sorted(range(len(columns)), key=lambda place: wanted[place] - needed[place])):
        more = min(wanted[place] - needed[place], spare // (len(columns) - left))
        widths[place] += more
        spare -= more
    return widths


def _table(lines: Sequence[Sequence[str]], widths: Sequence[int], title: str, *, is_turned: bool) -> "Table":
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=not is_turned, header_style="bold")
    for place, width in enumerate(widths):
        table.add_column(
            "" if is_turned else lines[0][place], width=width, style="bold" if is_turned and not place else ""
        )
    for line in lines if is_turned else lines[1:]:
        table.add_row(*line)
    return table


def _filled(items: Sequence[str], width: int) -> list[str]:
    """The items in as few lines as hold them, the later lines set in."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + 2 + len(item) <= width:
            lines[-1] += f"  {item}"
        else:
            lines.append(f"    {item}")
    return lines


def require_page(found: Sequence[object], cursor: str | None) -> None:
    """Refuse a cursor that leads nowhere: an empty page would look as if nothing were stored."""
    if cursor is not None and not found:
        raise CommandError(f"onramp: nothing comes after the cursor {cursor!r}. Give nextCursor as it came.")


def say_more(cursor: str | None) -> None:
    """How to ask for the next page; nothing where this was the last."""
    if cursor is not None:
        typer.echo(f"More: --cursor {cursor}")


def print_pairs(pairs: Sequence[tuple[str, object]], *, title: str = "") -> None:
    """Names and values under a title; what has no value is left out."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            table.add_row(name, _text(value))
    _console().print(table)


def _console() -> "Console":
    """As wide as the terminal; what is no terminal, a file or another program, gets lines that are not broken."""
    from rich.console import Console

    return Console(width=get_terminal_size((WIDE, 24)).columns, markup=False, emoji=False)


def _text(value: object) -> str:
    """What is shown of a value; a note that somebody wrote steers nobody's terminal."""
    return "" if value is None else "".join(char if char.isprintable() else " " for char in str(value))


def _longest_word(text: str) -> int:
    return max((len(word) for word in text.split()), default=0)
