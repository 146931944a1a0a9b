"""The catalogue of alarms, the code that raises them, the metric and the runbook name the same alarms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from docs import generate
from kit.alarms.alarms import Alarms
from kit.alarms.model import Ends
from kit.db.database import connect
from onramp.alarms.catalog import ALARMS, CATALOG
from onramp.bootstrap.identity import NAME
from tests.support.clocks import ManualClock

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [path for layer in ("kit", "chain", "treasury", "onramp") for path in sorted((ROOT / layer).rglob("*.py"))]
MECHANISM = {ROOT / "kit" / "alarms" / name for name in ("alarms.py", "service.py")} | {ROOT / "treasury" / "alarms.py"}
RAISES = {"raise_alarm", "raise_in", "raise_again_in", "_raise_alarm"}
KINDS = {"payout", "sweep", "nothing"}


def _calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for path in SOURCES:
        if path in MECHANISM:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=name)):
                    yield path, node, name


def _patterns(path: Path, name: ast.expr) -> list[str]:
    """Return patterns of the alarm names that an expression may have; a variable has those of its module's assignments."""
    match name:
        case ast.Constant(value=str(text)):
            return [re.escape(text)]
        case ast.JoinedStr(values=parts):
            return [
                "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+" for part in parts)
            ]
        case ast.Name(id=variable):
            tree = ast.parse(path.read_text())
            values = [value for target, value in _assignments(tree) if target == variable]
            patterns = [pattern for value in values for pattern in _patterns(path, value)]
            return patterns or VARIABLES[path.relative_to(ROOT).as_posix(), variable]
        case _:
            return []


VARIABLES = {
    ("treasury/sender/origins.py", "kind"): ["(foreign|unidentified)_transaction", "unknown_sweep"],
    ("treasury/sender/unknown_bytes.py", "source"): ["unknown_bytes", "lost_writes"],
    ("treasury/sender/tracking.py", "kind"): [],  # its callers in the module name the alarm
}
"""What a variable may hold that no assignment of its module shows."""


def _assignments(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, value in zip(targets, values, strict=True):
                    if isinstance(target, ast.Name):
                        yield target.id, value


def _raised() -> dict[str, Path]:
    """Return patterns of all names of alarms that are raised, with the module of each."""
    patterns: dict[str, Path] = {}
    for path, call, method in _calls():
        if method in RAISES:
            is_shared = method.endswith("_in") and len(call.args) > 1
            name = call.args[1 if is_shared else 0]
            if method == "_raise_alarm" or path.parts[-3:-1] in {("treasury", "sender"), ("treasury", "sweeps")}:
                patterns |= {rf"treasury\.{pattern}": path for pattern in _patterns(path, name)}
            else:
                patterns |= {_of_treasury(pattern, path): path for pattern in _patterns(path, name)}
    return patterns


def _of_treasury(pattern: str, path: Path) -> str:
    return pattern if r"\." in pattern else rf"treasury\.{pattern}"


def test_each_alarm_that_is_raised_is_in_the_catalogue() -> None:
    raised = _raised()
    assert len(raised) > 35
    assert {
        pattern: path for pattern, path in raised.items() if not any(re.fullmatch(pattern, name) for name in CATALOG)
    } == {}


def test_each_alarm_of_the_catalogue_is_raised_somewhere() -> None:
    patterns = [re.compile(pattern) for pattern in _raised()]
    assert [name for name in CATALOG if not any(pattern.fullmatch(name) for pattern in patterns)] == []


def test_every_critical_line_is_an_alarm() -> None:
    """Nothing but the mechanism writes a line at level critical, so no alarm is only a line."""
    assert [(path.name, call.lineno) for path, call, method in _calls() if method == "critical"] == []


def test_every_reason_for_which_an_operation_is_held_has_an_alarm() -> None:
    pattern = re.compile(r"(?:hold\(.*?|_Objection\(|return )Reason\.([A-Z_]+), ", re.DOTALL)
    missing = []
    for name, kind in (
        ("payout_checks", "payout"),
        ("stripe_checks", "payout"),
        ("batches", "payout"),
        ("sweep_checks", "sweep"),
    ):
        text = (ROOT / "treasury" / "sender" / f"{name}.py").read_text()
        silent = set(re.findall(r"Reason\.([A-Z_]+), [^)]*alarm=False", text))
        reasons = {reason for line in text.splitlines() for reason in pattern.findall(line)} - silent
        assert reasons
        missing += [reason for reason in reasons if f"treasury.{kind}_{reason.lower()}" not in CATALOG]
    assert missing == []


def test_the_metric_has_every_alarm_at_zero() -> None:
    registry = CollectorRegistry()
    Alarms(connect("sqlite+aiosqlite://"), ManualClock(), CATALOG, process="one", registry=registry, prefix=NAME)
    (family,) = [family for family in registry.collect() if family.name == "onramp_alarm_active"]
    assert {sample.labels["alarm"]: sample.value for sample in family.samples} == dict.fromkeys(CATALOG, 0.0)


def test_the_runbook_has_a_row_for_each_alarm() -> None:
    table = (
        (ROOT / "docs" / "runbook.md")
        .read_text()
        .partition("<!-- generated: alarms -->")[2]
        .partition("<!-- end -->")[0]
    )
    assert re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE) == [alarm.name for alarm in ALARMS]


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_an_alarm_says_what_happened_and_what_to_do(alarm: object) -> None:
    definition = CATALOG[alarm.name]  # type: ignore[attr-defined] # the parameter is a Definition
    assert definition.sentence.endswith(".") and definition.sentence[0].isupper()
    assert definition.command or definition.action
    assert (definition.expires is not None) == (definition.ends is Ends.EVENT)
    assert set(re.findall(r"\{([a-z_]+)\}", definition.command)) <= {"subject", "session"}
    commands = {name for name, _ in generate.commands()}
    words = definition.command.split(" {")[0]
    assert not words or words in commands
