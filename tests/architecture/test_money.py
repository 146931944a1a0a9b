"""Amounts are integers in base units. A float holds 53 bits; one MUSD has 10^18 base units, so 100 MUSD as a float are not exact."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
MONEY = re.compile(
    r"amount|balance|price|musd|(?:^|_)(?:wei|fees?|units|total|held|owed|available|on_chain)(?:_|$)", re.IGNORECASE
)
# These only export gauges, which Prometheus stores as floats anyway; nothing reads them back.
SHOWN_ONLY = {"treasury/metrics.py", "onramp/ops/purchase_metrics.py", "chain/node/metrics.py"}
# The Stripe sandbox computes its quotes with Decimal; it holds no money.
DECIMAL = {"onramp/dev/stripe"}


def _names(node: ast.AST) -> set[str]:
    return {
        child.id if isinstance(child, ast.Name) else child.attr
        for child in ast.walk(node)
        if isinstance(child, ast.Name | ast.Attribute)
    }


def _is_money(node: ast.AST) -> bool:
    return any(MONEY.search(name) for name in _names(node))


def _says_float(annotation: ast.AST | None) -> bool:
    return annotation is not None and "float" in _names(annotation)


def faults(source: str) -> list[str]:
    """Return each place in a module where an amount is a float, or becomes one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.AnnAssign(target=target, annotation=annotation) if _says_float(annotation) and _is_money(target):
                found.append(f"{node.lineno}: a float named {ast.unparse(target)}")
            case ast.arg(arg=name, annotation=annotation) if _says_float(annotation) and MONEY.search(name):
                found.append(f"{node.lineno}: a float named {name}")
            case ast.FunctionDef(name=name, returns=returns) | ast.AsyncFunctionDef(name=name, returns=returns) if (
                _says_float(returns) and MONEY.search(name)
            ):
                found.append(f"{node.lineno}: {name} returns a float")
            case ast.Call(func=ast.Name(id="float" | "round"), args=[argument, *_]) if _is_money(argument):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case ast.BinOp(op=ast.Div()) if _is_money(node):
                found.append(f"{node.lineno}: {ast.unparse(node)} divides into a float; // stays whole")
            case ast.BinOp(left=left, right=right) if _is_money(node) and any(
                isinstance(side, ast.Constant) and isinstance(side.value, float) for side in (left, right)
            ):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_no_amount_is_a_float() -> None:
    found = {}
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        if name not in SHOWN_ONLY and not any(name.startswith(folder) for folder in DECIMAL):
            found[name] = faults(path.read_text())
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "amount: float = 0",
        "def pay(payout_amount: float) -> None: ...",
        "def balance_of(x: int) -> float | None: ...",
        "x = float(row.amount)",
        "x = amount / 2",
        "x = fee * 1.5",
        "x = round(available.reserved)",
    ],
)
def test_each_way_to_make_a_float_of_an_amount_is_found(planted: str) -> None:
    assert len(faults(planted)) == 1


@pytest.mark.parametrize(
    "fine", ["x = amount // 2", "retry_after: float = 1.0", "path = root / name", "x = fee * 3 // 2"]
)
def test_integers_and_seconds_are_accepted(fine: str) -> None:
    assert faults(fine) == []
