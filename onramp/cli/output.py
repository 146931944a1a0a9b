"""The output of commands: tables for people, JSON for programs, one line for an error."""

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

    from kit.db.paging import Position
    from onramp.config.settings import Settings

Result = TypeVar("Result")
UNLIMITED: Final = 10_000
"""The width, in columns, of output that does not go to a terminal, so that a record stays on one line."""


class CommandError(Exception):
    """The command was refused or failed; `lines` go to stderr and the exit status is 1."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def settings(*, to_run: bool = False) -> "Settings":
    """Return the settings; `to_run` also checks the settings that only a service needs which is about to start.

    Raises CommandError with a line for each problem of the environment.
    """
    from onramp.config.loader import load, load_to_run

    with settings_errors():
        return load_to_run() if to_run else load()


@contextmanager
def settings_errors() -> Iterator[None]:
    """Turn a SettingsError that the block raises into a CommandError."""
    from onramp.config.loader import SettingsError

    try:
        yield
    except SettingsError as error:
        raise CommandError(
            "onramp: the settings cannot be used:", *(f"  {problem}" for problem in error.problems)
        ) from error


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a new event loop; return its result."""
    return asyncio.run(coroutine)


def print_json(value: object) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "", empty: str = "Nothing."
) -> None:
    """Print a table for people, or the text `empty` if there are no rows.

    Lines break only between words, never within a number or a hash. A table that is too wide for the terminal is transposed, and
    printed row by row if that is too wide as well.
    """
    console, texts = _console(), [[_text(value) for value in row] for row in rows]
    if not texts:
        console.print(empty)
        return
    for layout in (_upright, _transposed):
        table = layout(columns, texts, title)
        if _width(console, table) <= console.width:
            console.print(table)
            return
    if title:
        console.print(title, style="italic")
    for row in texts:
        cells = [f"{name} {text}".strip() for name, text in zip(columns, row, strict=True) if text]
        for line in _filled(cells, console.width):
            console.print(line)


def _upright(columns: Sequence[str], texts: Sequence[Sequence[str]], title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name, **_column([name, *(row[index] for row in texts)]))
    for row in texts:
        table.add_row(*row)
    return table


def _transposed(columns: Sequence[str], texts: Sequence[Sequence[str]], title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=False)
    table.add_column(style="bold", **_column(columns))
    for row in texts:
        table.add_column(**_column(row))
    for name, *cells in zip(columns, *texts, strict=True):
        table.add_row(name, *cells)
    return table


def _column(texts: Sequence[str]) -> dict[str, Any]:
    """Return options of a column that must not break the words of these texts."""
    longest_word = max((len(word) for text in texts for word in text.split()), default=0)
    return {"min_width": longest_word, "no_wrap": longest_word == max(map(len, texts))}


def _width(console: "Console", table: "Table") -> int:
    """Return the width of the rendered table, which exceeds the console's if the columns cannot be made narrower."""
    from rich.segment import Segment

    lines = Segment.split_lines(console.render(table))
    return max(map(Segment.get_line_length, lines))


def _filled(items: Sequence[str], width: int) -> list[str]:
    """Return the items on as few lines as possible; later lines are indented."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + 2 + len(item) <= width:
            lines[-1] += f"  {item}"
        else:
            lines.append(f"    {item}")
    return lines


def position(cursor: str | None) -> "Position | None":
    """Return the position of a `--cursor`, None without one. Raises CommandError if it is not a cursor."""
    from kit.db.paging import decode_position

    try:
        return None if cursor is None else decode_position(cursor)
    except ValueError as error:
        raise CommandError(f"onramp: the cursor {cursor!r} {error}.") from None


def require_page(rows: Sequence[object], cursor: str | None) -> None:
    """Raise CommandError for a cursor after which there are no rows: an empty page would look as if nothing were stored."""
    if cursor is not None and not rows:
        raise CommandError(f"onramp: nothing comes after the cursor {cursor!r}. Pass nextCursor unchanged.")


def print_more(cursor: str | None) -> None:
    """Print how to ask for the next page; nothing after the last page."""
    if cursor is not None:
        typer.echo(f"More: --cursor {cursor}")


def print_pairs(pairs: Sequence[tuple[str, object]], *, title: str = "") -> None:
    """Print names and values under a title; None values are left out."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            table.add_row(name, _text(value))
    _console().print(table)


def _console() -> "Console":
    """Return a console as wide as the terminal (or COLUMNS); output to a file or pipe is never wrapped."""
    from rich.console import Console

    return Console(width=get_terminal_size((UNLIMITED, 24)).columns, markup=False, emoji=False)


def _text(value: object) -> str:
    """Return a value as text without control characters, so that a stored note cannot control the terminal."""
    return "" if value is None else "".join(char if char.isprintable() else " " for char in str(value))
