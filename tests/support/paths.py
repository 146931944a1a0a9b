"""Paths of the repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ONRAMP: Final = ROOT / ".venv/bin/onramp"
"""The installed command."""
