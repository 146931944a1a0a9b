"""What commands print in terminals of any width: every figure, hash and word is complete, and no line is cut off."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from onramp.cli.output import print_pairs, print_table
from tests.support.command_line import run_onramp

BALANCES = (
    ("asset", "onChain", "held", "available", "floor", "ceiling", ""),
    ("MUSD", "69033.376544", "0.00", "69033.376544", "5000.00", "20000.00", "above its ceiling"),
    ("BTC", "0.999830178998572126", "0.00", "0.999830178998572126", "0.001", "", ""),
)
PAYOUTS = (
    ("id", "status", "amount", "to", "note"),
    *(
        (f"pay_{number:032x}", "awaiting_approval", "1000000.000000000000000001 MUSD", "0x" + "Ab" * 20, "held [/b] for a person")
        for number in range(4)
    ),
)  # fmt: skip


@pytest.mark.parametrize("lines", [BALANCES, PAYOUTS], ids=["balances", "payouts"])
@pytest.mark.parametrize("width", [*range(60, 180, 7), 80])
def test_lines_break_only_between_words(
    lines: tuple[tuple[str, ...], ...], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(lines[0], lines[1:], title="a title")
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= width
    assert all(
        line.rstrip()[-1] in "┓┩│┘┐" for line in output.splitlines() if line.startswith(("┏", "┡", "│", "└", "┌"))
    )
    for line in lines:
        for value in line:
            assert all(word in output for word in value.split()), (value, output)


@pytest.mark.parametrize("show", [
    lambda note: print_table(("at", "note"), [("now", note)]),
    lambda note: print_pairs([("note", note)]),
], ids=["table", "pairs"])  # fmt: skip
def test_a_note_is_shown_as_it_was_written_and_steers_no_terminal(
    show: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show("[bold]:smile: \x1b[2Jgone [/x]")
    output = capsys.readouterr().out
    assert "[bold]:smile:  [2Jgone [/x]" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("treasury", "pause", "--scope", "marker"), "'marker' is not one of 'sales', 'payouts', 'sweeps', 'all'."),
        (("treasury", "payouts", "--limit", "0"), "must be greater than or equal to 1"),
    ],
)
def test_a_wrong_choice_is_refused_in_plain_words(tmp_path: Path, command: tuple[str, ...], says: str) -> None:
    output = run_onramp({"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "160"}, *command)
    assert (output.returncode, says in output.stderr, "Value error" in output.stderr) == (2, True, False)


def test_output_to_a_pipe_keeps_each_record_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    note = "as agreed " * 200
    print_table(("id", "note"), [("pay_1", note), ("pay_2", note)])
    lines = capsys.readouterr().out.splitlines()
    assert [sum(name in line for line in lines) for name in ("pay_1", "pay_2", "as agreed")] == [1, 1, 2]


def test_help_loads_none_of_the_libraries_that_the_commands_need() -> None:
    program = (
        "import sys, onramp.cli\n"
        "print(sorted({'aiohttp', 'asyncpg', 'eth_abi', 'pydantic', 'sha3', 'sqlalchemy', 'stripe', 'web3'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed == "[]\n"
