"""Write the rule files and the dashboards: `make docs` runs it. With `--check` nothing is written, and exit status 1 says that a file is stale."""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import board_json
from deploy.monitoring.rules import groups

FOLDER: Final = Path(__file__).parent
HEAD: Final = "# Written by `make docs` from deploy/monitoring/rules.py. Change that file.\n"


def rule_text(file_groups: list[dict[str, Any]]) -> str:
    """Return the text of a rule file."""
    text: str = yaml.safe_dump({"groups": file_groups}, sort_keys=False, width=160, allow_unicode=True)
    return HEAD + text


def files() -> dict[Path, str]:
    """Return every generated file with its text."""
    rules = {FOLDER / "prometheus" / "rules" / f"{name}.yml": rule_text(of_file) for name, of_file in groups().items()}
    boards = {FOLDER / "grafana" / "dashboards" / f"{board.name}.json": board_json(board) for board in BOARDS}
    return rules | boards


def main() -> int:
    """Write or check the files; return the exit status."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(FOLDER.parents[1])} is stale: run `make docs`", file=sys.stderr)
        return bool(stale)
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
