"""What is wrong with the environment stops the start in development, too: all of it at once, by name, no value shown."""

import json
import os
from pathlib import Path

import pytest

from onramp.settings import SettingsError, load
from tests.onramp.typed import typed

ADDRESS = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
WRONG = (
    ("HOST", ""), ("HOST", "two words"), ("PORT", "http"), ("PORT", "65536"), ("ENVIRONMENT", "live"), ("DATABASE_URL", ""),
    ("REDIS_URL", "marker"), ("REDIS_URL", "redis://"), ("REDIS_URL", "redis://h:marker"),
    ("STRIPE_SECRET_KEY", "pk_test_marker"), ("STRIPE_PUBLISHABLE_KEY", "sk_test_marker"), ("STRIPE_WEBHOOK_SECRETS", "whsec_1,marker"),
    ("STRIPE_WEBHOOK_SECRETS", "whsec_"), ("STRIPE_API_BASE", "marker"), ("STRIPE_API_BASE", ""), ("STRIPE_VERSION", "marker"),
    ("STRIPE_DESTINATION_NETWORK", "Marker!"), ("STRIPE_DESTINATION_CURRENCY", "eth"), ("STRIPE_WEBHOOK_ADDRESSES", "marker"),
    ("CHAIN_ID", "5"), ("MEZO_RPC_URLS", "marker"), ("SPECTRUM_RPC_URLS", "ftp://marker"), ("MEZO_WS_URLS", "http://marker"),
    ("CHAIN_AGREEMENT", "0"), ("CHAIN_NODES_FILE", "/nowhere/marker"), ("MUSD_TOKEN_ADDRESS", "0xmarker"),
    ("SETTLEMENT_ADDRESS", "0xmarker"), ("SETTLEMENT_ADDRESS", "0x" + "0" * 40), ("DELIVERY_SENDERS", "0xmarker"),
    ("PAYOUT_FEE_BPS", "10000"), ("SESSION_MIN_AMOUNT", "1.001"), ("SESSION_MAX_AMOUNT", "marker"),
    ("SESSION_TTL_MINUTES", "9" * 18), ("DELIVERY_OVERDUE_MINUTES", "0"),
    ("HOT_WALLET_SIGNER", "marker"), ("HOT_WALLET_ADDRESS", "0xmarker"), ("GCP_KMS_KEY_VERSION", "marker"),
    ("GCP_KMS_ENDPOINT", "marker"), ("COLD_SAFE_ADDRESS", "0xmarker"), ("COLD_SAFE_OWNERS", "0xmarker"), ("COLD_SAFE_THRESHOLD", "0"),
    ("ALLOWED_ORIGINS", "https://"), ("ALLOWED_ORIGINS", "https://a.test/marker"), ("METRICS_TOKEN", "маркер"),
    ("SUPPORT_EMAIL", "marker"), ("MERCHANT_NAME", "marker\udce9"), ("MERCHANT_ADDRESS", "marker\t1"), ("TRUSTED_PROXIES", "10.1.2.3/8"), ("RATE_LIMIT_CREATE", "0/minute"),
    ("SANCTIONS_ORACLE", "0xmarker"), ("LOG_LEVEL", "marker"), ("LOG_FORMAT", "marker"), ("ONRAMP_API_URL", "marker"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{place}" for place, (name, _) in enumerate(WRONG)])
def test_a_wrong_value_is_one_line_with_its_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load()
    (problem,) = refused.value.problems
    assert problem.startswith(name) and "\n" not in problem
    assert "marker" not in problem.lower() and "маркер" not in problem and "10.1.2.3" not in problem


def test_all_that_is_wrong_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what is only wrong together, looked at beside the variables that cannot be read at all; none is named twice."""
    for name, value in {"PORT": "x", "DATA_KEYS": "x", "SESSION_MIN_AMOUNT": "5", "SESSION_MAX_AMOUNT": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError) as refused:
        load()
    named = [problem.partition(":")[0].split()[0] for problem in refused.value.problems]
    assert {
        "PORT",
        "DATA_KEYS",
        "SESSION_MIN_AMOUNT",
        "STRIPE_SECRET_KEY",
        "METRICS_TOKEN",
        "DATABASE_URL",
        "HOT_WALLET_SIGNER=local",
    } <= set(named)
    assert len(named) == len(set(named))


def test_a_shop_that_could_not_deliver_does_not_open(tmp_path: Path) -> None:
    """Commands that sell nothing need neither address."""
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db"}
    sells, is_paid = {"STRIPE_SECRET_KEY": "sk_live_x"}, {"SETTLEMENT_ADDRESS": ADDRESS}
    keystore = {"HOT_WALLET_KEYSTORE": str(tmp_path / "none.json")}
    for command, given, missing in (
        ("serve", sells, ["SETTLEMENT_ADDRESS"]),
        ("work", sells | {"CHAIN_ID": "31612"}, ["SETTLEMENT_ADDRESS", "HOT_WALLET_ADDRESS"]),
        ("serve", is_paid | keystore, ["STRIPE_SECRET_KEY", "HOT_WALLET_ADDRESS", "HOT_WALLET_PASSWORD"]),
    ):
        refused = typed(environment | given, command)
        assert refused.returncode == 1
        first, *problems = refused.stderr.splitlines()
        assert first == "onramp: the settings cannot be used:"
        assert [problem.split()[0] for problem in problems] == missing
    assert typed(environment | sells, "migrate").returncode == 0


@pytest.mark.parametrize(("name", "value"), [("TREASURY_POLICY", "none.toml"), ("SANCTIONS_LIST", "none.txt"), ("HOT_WALLET_KEYSTORE", "none.json")])  # fmt: skip
def test_a_file_that_is_named_and_is_not_there_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    refused = typed(
        {
            "PATH": os.environ["PATH"], "LOG_LEVEL": "error", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db", "PORT": "0",
            "HOT_WALLET_ADDRESS": ADDRESS, "HOT_WALLET_PASSWORD": "x", name: str(tmp_path / value),
        },
        "serve",
    )  # fmt: skip
    assert (refused.returncode, name in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)


def test_a_keystore_says_which_wallet_it_holds(tmp_path: Path) -> None:
    keystore = tmp_path / "keystore.json"
    keystore.write_text(json.dumps({"address": ADDRESS[2:].lower()}))
    assert load(HOT_WALLET_KEYSTORE=keystore).hot_wallet == ADDRESS
    assert load(HOT_WALLET_KEYSTORE=keystore, HOT_WALLET_SIGNER="aws-kms").hot_wallet is None
    other = "0x" + "11" * 20
    assert load(HOT_WALLET_KEYSTORE=keystore, HOT_WALLET_ADDRESS=other).hot_wallet == other
    for text in ("{}", "[]", '{"address": "0x12"}', "no JSON"):
        keystore.write_text(text)
        assert load(HOT_WALLET_KEYSTORE=keystore).hot_wallet is None
