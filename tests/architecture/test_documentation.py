"""The documentation names everything that exists, and nothing that does not."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from docs import generate
from onramp.bootstrap.identity import NAME
from onramp.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("kit", "chain", "treasury", "onramp")
SOURCES = [path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def _defaults() -> dict[str, str]:
    defaults = {}
    for name, field in Settings.model_fields.items():
        value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        defaults[name] = "" if value is None else str(value)
    return defaults


def _title(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_generated_pages_are_up_to_date() -> None:
    assert generate.stale() == [], "run `make docs`"


def test_the_configuration_page_lists_every_variable_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([^|]*) \| \S", (DOCS / "configuration.md").read_text(), re.MULTILINE)
    assert {name: default.strip().strip("`") for name, default in rows} == _defaults()


def test_the_example_environment_lists_every_variable_with_a_sentence_and_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    rows = re.findall(r"\n\n# [A-Z0-9`](?:.*\n# )*.*\.\n# ([A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    assert dict(rows) == _defaults()


def test_the_command_line_page_has_every_command() -> None:
    text = (DOCS / "command-line.md").read_text()
    names = [name for name, _ in generate.commands()]
    assert len(names) > 40
    assert [name for name in names if f"### `{name}`\n" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_commands_exist(page: Path) -> None:
    """Every command in backticks or in a code block."""
    commands = {name for name, _ in generate.commands()}
    groups = {name.rsplit(" ", depth)[0] for name in commands for depth in (1, 2)}
    unknown = []
    for text in re.findall(r"(?:^    |`|\$ |bin/)(onramp [a-z][a-z -]*+)(?!:)", page.read_text(), re.MULTILINE):
        words = text.split()
        prefixes = {" ".join(words[:count]) for count in range(1, len(words) + 1)}
        if not prefixes & commands and " ".join(words) not in groups:
            unknown.append(text)
    assert unknown == []


def test_the_architecture_page_maps_every_package() -> None:
    text = (DOCS / "architecture.md").read_text()
    packages = {path.parent.relative_to(ROOT).as_posix() + "/" for path in SOURCES if path.name == "__init__.py"}
    assert {package for package in packages if f"`{package}`" not in text} == set()


def test_the_runbook_names_log_events_and_metrics_that_exist() -> None:
    pages = (DOCS / "runbook.md").read_text() + (DOCS / "monitoring.md").read_text()
    source = "".join(path.read_text() for path in SOURCES)
    areas = "audit|api_keys|chain|clock|delivery|deliveries|deployment|health|inbox|janitor|screening|session|treasury|webhooks|worker"
    events = set(re.findall(rf"`((?:{areas})\.[a-z_]+)`", pages))
    assert len(events) > 50
    # An alarm of the treasury is built from what it concerns and a reason: treasury.payout_reverted.
    reasons = {
        event: re.sub(r"^treasury\.((payout|sweep|signer)_)?", "", event) for event in events - {"treasury.toml"}
    }
    unknown = [event for event, reason in reasons.items() if event not in source and f'"{reason}"' not in source]
    assert [event for event in unknown if f"_{reasons[event]}" not in source] == []
    metrics = set(re.findall(r"(?<![.\w])((?:onramp|chain|treasury)_[a-z_]+)\b", pages))
    assert len(metrics) > 20
    source = source.replace('f"{prefix}_', f'"{NAME}_')  # metrics of kit, which does not know the service's name
    assert {name for name in metrics if f'"{name.removesuffix("_total")}' not in source} == set()


def test_the_api_page_explains_every_problem_code() -> None:
    codes = set()
    for path in SOURCES:
        if path.is_relative_to(ROOT / "onramp" / "dev"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Problem"), args=[_, ast.Constant(value=str(code)), *_]):
                    codes.add(code)
    assert len(codes) > 40
    errors = (DOCS / "api.md").read_text().partition("## Errors")[2]
    assert {code for code in codes if f"`{code}`" not in errors} == set()


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        path, _, anchor = target.partition("#")
        if "://" in path or path.startswith("../blob/"):
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_paths_exist(page: Path) -> None:
    """Every path in backticks that begins with a folder of ours."""
    folders = (*LAYERS, "docs", "tests", "contracts", "client")
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    paths = re.findall(rf"`((?:{'|'.join(folders)})/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists() and "NNNN" not in path] == []


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_decisions_are_numbered_without_a_gap_and_have_one_form() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        assert re.findall(r"^#+ .*", path.read_text(), re.MULTILINE)[1:] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ], path.name


def test_the_index_lists_every_decision_by_its_title() -> None:
    titles = {path.name: path.read_text().partition("\n")[0].removeprefix("# ") for path in DECISIONS}
    rows = re.findall(
        r"^\| (\d{4}) \| \[(.*)\]\((.*)\) \|$", (DOCS / "decisions" / "README.md").read_text(), re.MULTILINE
    )
    assert {name: title for number, title, name in rows if name.startswith(number)} == titles
