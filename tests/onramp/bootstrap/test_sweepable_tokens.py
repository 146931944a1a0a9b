"""Which tokens the signer lets a sweep move: those that the policy file lists, and no others."""

from pathlib import Path

import pytest

from onramp.bootstrap.factories import session_config, signing_limits
from onramp.config.loader import load
from treasury.policy.parser import DEVELOPMENT

WALLET = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER = "0x0707070707070707070707070707070707070707"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEVELOPMENT, set()),
        (DEVELOPMENT + f'[assets.OTHER]\naddress = "{OTHER}"\ndecimals = 6\nfloor = "0"\n', {OTHER}),
        ("not a policy", set()),
    ],
)
def test_a_sweep_may_move_what_the_file_lists(tmp_path: Path, text: str, expected: set[str]) -> None:
    file = tmp_path / "treasury.toml"
    file.write_text(text)
    settings = load(TREASURY_POLICY=file, HOT_WALLET_ADDRESS=WALLET)
    rules = signing_limits(settings, session_config(settings), WALLET)
    assert rules.sweep_tokens == expected
