"""`onramp --version` says what runs, also before anything is configured."""

import pytest
from typer.testing import CliRunner

from onramp import __version__
from onramp.cli import app


@pytest.mark.parametrize(
    ("revision", "shown"),
    [("", f"onramp {__version__}\n"), ("1a2b3c", f"onramp {__version__} (revision 1a2b3c)\n")],
)
def test_the_version_names_the_revision_that_the_image_was_built_from(
    revision: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONRAMP_REVISION", revision)
    monkeypatch.setenv("DATABASE_URL", "nonsense")
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, shown)
